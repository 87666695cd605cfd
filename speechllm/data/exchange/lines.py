"""Text files read line by line and written whole, gzipped where the name ends in .gz."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from speechllm.errors import DataError
from speechllm.files.progress import Progress
from speechllm.files.strict_json import load_json
from speechllm.files.utf8 import PEEKED, not_utf8, refuse_wide
from speechllm.files.whole import whole_file

LONGEST = 1 << 26  # bytes of a line: a small gzip file may unpack to gigabytes
LINES_SHOWN = 1000
MOST_UNPACKED = 200
"""Most bytes that a byte of a gzip file may stand for; text has 3 to 30."""
UNPACKED_FREELY = 1 << 22
"""Bytes of lines that a gzip file may unpack to, however small it is."""
FETCH_AGAIN = "fetch or make the file again"


def read_lines(path: Path, remedy: str | None = None) -> Iterator[str]:
    """Yield the lines with their ends, while showing progress; a byte-order mark is left out.

    Args:
        path: of the file.
        remedy: for a file that is not there.

    Raises:
        DataError: the file cannot be read, a line is not UTF-8 or longer than `LONGEST`, or a
            gzip file unpacks to more than any text does.
    """
    number = 1
    try:
        with (
            open(path, "rb") as raw,
            gzip.open(raw) if path.suffix == ".gz" else raw as stream,
            Progress(f"reading {path.name}", _megabytes(path.stat().st_size), "MB") as progress,
        ):
            refuse_wide(stream.peek(PEEKED), path)
            for number, line in enumerate(iter(lambda: stream.readline(LONGEST), b""), 1):
                if len(line) == LONGEST:
                    raise DataError(f"line of more than {LONGEST >> 20} MB", path, number)
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    message, remedy = not_utf8(path)
                    raise DataError(message, path, number, remedy) from error
                if number % LINES_SHOWN == 0:
                    if UNPACKED_FREELY < stream.tell() > MOST_UNPACKED * raw.tell():
                        message = f"a byte of the gzip file unpacks to more than {MOST_UNPACKED}"
                        raise DataError(message, path, number, FETCH_AGAIN)
                    progress.advance(_megabytes(raw.tell()) - progress.done)
    except FileNotFoundError as error:
        raise DataError("no such file", path, remedy=remedy) from error
    except IsADirectoryError as error:
        raise DataError("is a folder, no file", path, remedy=remedy) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"gzip file is damaged ({error})", path, number, FETCH_AGAIN) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path, remedy=remedy) from error


def _megabytes(size: int) -> float:
    return round(size / 1e6, 3)


def read_json_lines(
    path: Path, remedy: str | None = None, keys_once: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of JSON lines; empty lines are skipped.

    Args:
        path: of the file.
        remedy: for a file that is not there.
        keys_once: refuse an object that has a key twice.

    Raises:
        DataError: as `read_lines`; a line is not a JSON object, or has a key twice.
    """
    for number, line in enumerate(read_lines(path, remedy), 1):
        if not line.strip():
            continue
        try:
            row = load_json(line, keys_once=keys_once)
        except ValueError as error:
            message = f"broken JSON: {error}"
            raise DataError(message, path, number, "each line is one JSON object") from error
        if not isinstance(row, dict):
            raise DataError("not a JSON object", path, number, "each line is one JSON object")
        yield number, row


@contextmanager
def whole_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file that appears only if the block ends well."""
    if path.suffix != ".gz":
        with whole_file(path) as stream:
            yield stream
        return
    with (
        whole_file(path, "wb") as raw,
        # Neither name nor time: equal content gives equal files.
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):
        yield stream


def json_line(row: dict[str, Any]) -> str:
    """Write an object as a line of JSON; decimals become numbers."""
    return json.dumps(row, ensure_ascii=False, default=_number) + "\n"


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{value!r} is not JSON")
