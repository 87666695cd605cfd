"""Text files of a corpus, line by line; every fault names its line."""

from collections.abc import Iterator
from pathlib import Path

from speechllm.data.exchange.formats.csv import TAB, read_rows
from speechllm.errors import DataError
from speechllm.files.utf8 import decode


def read_text(path: Path, remedy: str | None = None) -> str:
    """Read a UTF-8 file; a byte-order mark is left out.

    Args:
        path: the file.
        remedy: what to do where it cannot be read.

    Raises:
        DataError: the file cannot be read, or a line is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path, remedy=remedy) from error
    return decode(content, path)


def read_lines(path: Path, remedy: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield (line number, line without its end) of all lines that are not empty.

    Raises:
        DataError: as `read_text`.
    """
    for number, line in enumerate(read_text(path, remedy).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def read_cells(path: Path, remedy: str | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number of the row's last line, column -> cell) of a table with a header.

    A .tsv has no quoting; in any other file a quoted cell may hold commas and line ends.

    Raises:
        DataError: as `read_text`; a repeated column, or a row that is broken or of another length.
    """
    return read_rows(path, TAB if path.suffix == ".tsv" else ",", remedy)
