"""Table of strings, written as Markdown that is also readable as plain text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speechllm.report.markdown import cell

ABSENT = "-"


@dataclass(frozen=True)
class Table:
    """Header and rows of cells; the first `names` columns are names, the rest are numbers."""

    header: tuple[str, ...]
    rows: list[list[str]]
    names: int = 2

    def markdown(self) -> str:
        """Return a Markdown table with padded columns: names to the left, numbers to the right."""
        lines = [list(map(cell, row)) for row in (self.header, *self.rows)]
        widths = _widths(lines)
        rule = [
            "-" * width if i < self.names else "-" * (width - 1) + ":"
            for i, width in enumerate(widths)
        ]
        head, *body = (self._line(line, widths) for line in lines)
        return "\n".join([head, self._line(rule, widths), *body])

    @property
    def width(self) -> int:
        """Width on a terminal, in characters."""
        return sum(width + 3 for width in _widths([self.header, *self.rows])) + 1

    def without(self, name: str) -> "Table":
        """Return the table without the number column `name`."""
        i = self.header.index(name)
        rows = [row[:i] + row[i + 1 :] for row in self.rows]
        return Table(self.header[:i] + self.header[i + 1 :], rows, self.names)

    def without_absent(self) -> "Table":
        """Return the table without the number columns that are empty in every row."""
        table = self
        for i, name in list(enumerate(self.header))[self.names :]:
            if all(row[i] == ABSENT for row in self.rows):
                table = table.without(name)
        return table

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = (
            shown.ljust(width) if i < self.names else shown.rjust(width)
            for i, (shown, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(3, *map(len, column)) for column in zip(*lines, strict=True)]


def number(value: float | None) -> str:
    """Two decimals, or "-" where there is no value."""
    return ABSENT if value is None else f"{value:z.2f}"


def change(value: float | None) -> str:
    """Two decimals with a sign, or "-" where there is no value."""
    return ABSENT if value is None else f"{value:+z.2f}"


def count(value: int | None) -> str:
    """Integer with thousands separated, or "-" where there is no value."""
    return ABSENT if value is None else f"{value:,}"


def interval(low_high: Sequence[float] | None) -> str:
    """Interval as `[low, high]`, or "-" where there is none."""
    return "[{:z.2f}, {:z.2f}]".format(*low_high) if low_high else ABSENT


def rate(figure: dict[str, Any] | None) -> str:
    """Rate of wer.json as `percent [low, high]`, or "-" where there is none."""
    if not figure or figure["percent"] is None:
        return ABSENT
    return f"{number(figure['percent'])} {interval(figure['interval'])}"


def probability(p: float | None) -> str:
    """Three decimals, `<0.001`, or "-" where there is no value."""
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def rtf(decode_info: dict[str, Any]) -> str:
    """Real-time factor of a decode.json, with three decimals: two show 0 on a fast machine."""
    value = decode_info.get("rtf")
    return ABSENT if value is None else f"{value:.3f}"
