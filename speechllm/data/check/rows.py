"""Rows of a table by key: of a table without a fault, only keys and values are kept."""

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import count
from pathlib import Path

from speechllm.data.dirs.tables import Fault, Row, scan_table
from speechllm.data.dirs.tidy import Untidy, tidy_blocks


class Rows(Mapping[str, Row]):
    """First row of every key, in the order of keys.

    Rows are made when asked for: a million of them would take 200 MB for each table.

    Args:
        values: key -> value, sorted.
        lines: key -> line; None where the n-th key stands on line n.
    """

    def __init__(self, values: dict[str, str], lines: Mapping[str, int] | None = None):
        self.values_by_key, self._lines = values, lines

    def __getitem__(self, key: str) -> Row:
        lines = self._lines or self._places
        return Row(key, self.values_by_key[key], lines[key])

    @cached_property
    def _places(self) -> dict[str, int]:
        return dict(zip(self.values_by_key, count(1)))

    def __contains__(self, key: object) -> bool:
        return key in self.values_by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)

    def keys(self) -> KeysView[str]:
        return self.values_by_key.keys()

    def items(self) -> ItemsView[str, Row]:
        return _Items(self)

    def in_order(self) -> Iterator[Row]:
        """Yield all rows."""
        lines = count(1) if self._lines is None else map(self._lines.__getitem__, self)
        return map(Row, self.values_by_key, self.values_by_key.values(), lines)


class _Items(ItemsView[str, Row]):
    """Keys with their rows, without a search for each."""

    _mapping: Rows

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        return ((row.key, row) for row in self._mapping.in_order())


def read_rows(path: Path, report: Callable[[Fault], None]) -> Rows:
    """Read a table to its end and pass every fault of its lines to `report`.

    Raises:
        DataError: as `scan_table`.
    """
    with suppress(Untidy):
        values: dict[str, str] = {}
        for block in tidy_blocks(path):
            values.update(zip(block.keys, block.values, strict=True))
        return Rows(values)
    first = {row.key: row for row in reversed(scan_table(path, report))}
    keys = sorted(first)
    return Rows({key: first[key].value for key in keys}, {key: first[key].line for key in keys})
