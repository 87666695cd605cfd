"""A table of strings, as Markdown that is also readable as plain text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speechllm.report.markdown import cell

ABSENT = "-"


@dataclass(frozen=True)
class Table:
    """A header and rows of cells; the first `names` columns stand left, figures stand right."""

    header: tuple[str, ...]
    rows: list[list[str]]
    names: int = 2

    def markdown(self) -> str:
        """Return a Markdown table with padded columns."""
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
        """Columns that the table takes on a terminal."""
        return sum(width + 3 for width in _widths([self.header, *self.rows])) + 1

    def without(self, name: str) -> "Table":
        """Return the table without the column called `name`, which stands among the figures."""
        i = self.header.index(name)
        rows = [row[:i] + row[i + 1 :] for row in self.rows]
        return Table(self.header[:i] + self.header[i + 1 :], rows, self.names)

    def without_absent(self) -> "Table":
        """Return the table without the figures that no row has."""
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
    """An integer with thousands separated, or "-" where there is no value."""
    return ABSENT if value is None else f"{value:,}"


def interval(low_high: Sequence[float] | None) -> str:
    """`[low, high]`, or "-" where there is none."""
    return "[{:z.2f}, {:z.2f}]".format(*low_high) if low_high else ABSENT


def rate(figure: dict[str, Any] | None) -> str:
    """`percent [low, high]` of a figure of wer.json, or "-" where there is none."""
    if not figure or figure["percent"] is None:
        return ABSENT
    return f"{number(figure['percent'])} {interval(figure['interval'])}"


def probability(p: float | None) -> str:
    """Three decimals, `<0.001`, or "-" where there is no value."""
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def rtf(decode_info: dict[str, Any]) -> str:
    """Three decimals of a decode.json's real-time factor: on a fast machine two would be 0."""
    value = decode_info.get("rtf")
    return ABSENT if value is None else f"{value:.3f}"
