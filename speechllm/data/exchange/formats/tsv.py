"""Tab-separated values with a header, without quotes; otherwise like csv."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from speechllm.data.dirs.records import Record
from speechllm.data.exchange.formats import Holds, csv

SUMMARY = "tab-separated values with a header, no quotes (.tsv or .tsv.gz)"
HOLDS = Holds(cuts=True, commands=True, text_only=True)
FOLDER = False


def read(
    path: Path, *, columns: Mapping[str, str] | None = None, keep: Sequence[str] = ()
) -> Iterator[Record]:
    """Read a file, as `csv.read` does.

    Args:
        path: .tsv or .tsv.gz.
        columns: field -> column, for fields whose column has another name.
        keep: further columns, which become tables.
    """
    return csv.read(path, columns=columns, keep=keep, delimiter=csv.TAB)


def write(
    records: Collection[Record], path: Path, *, columns: Mapping[str, str] | None = None
) -> None:
    """Write a file, as `csv.write` does.

    Args:
        records: the utterances.
        path: .tsv or .tsv.gz.
        columns: field -> column, for fields whose column gets another name.
    """
    csv.write(records, path, columns=columns, delimiter=csv.TAB)
