"""Text files of a corpus, line by line; every fault names its line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    tabs = path.suffix == ".tsv"
    dialect: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
    reader = csv.reader(io.StringIO(read_text(path, remedy), newline=""), strict=True, **dialect)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise DataError(f"a column stands twice: {', '.join(header)}", path, 1)
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                message = f"{len(cells)} cells, but {len(header)} columns"
                raise DataError(message, path, reader.line_num)
    except csv.Error as error:
        raise DataError(f"broken row: {error}", path, reader.line_num) from error
