"""Kaldi tables: text files of lines `key value`, read strictly.

Sorted by key in the C locale (which is Python's order of str), UTF-8, Unix line ends.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from speechllm.errors import DataError
from speechllm.files import whole_file
from speechllm.utf8 import not_utf8, refuse_wide

FIRST_IDS = 5
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


class Row(NamedTuple):
    """One line of a table."""

    key: str
    value: str
    line: int


class Fault(NamedTuple):
    """Something wrong in one line of a table.

    Attributes:
        item: what it is about: an id or a value.
        mendable: `speechllm fix` can mend it; otherwise it takes an edit.
    """

    message: str
    line: int
    remedy: str
    item: str = ""
    mendable: bool = True


def first_ids(ids: Iterable[str]) -> str:
    """Return "3 (a, b, c)", naming at most the first five ids."""
    ids = list(ids)
    more = ", ..." if len(ids) > FIRST_IDS else ""
    return f"{len(ids)} ({', '.join(ids[:FIRST_IDS])}{more})"


def id_problem(key: str) -> str | None:
    """Say why `key` cannot be an id, or None. Ids become file names, so paths are refused."""
    if "/" in key or "\\" in key or ".." in key:
        return "id holds '/', '\\' or '..'"
    if not key or _BLANK_OR_CONTROL.search(key):
        return "id is empty or holds a space or a control character"
    return None


def scan_table(path: str | Path, report: Callable[[Fault], None]) -> list[Row]:
    """Read a table to its end and hand every fault of its lines to `report`.

    Returns all rows that have a key, duplicates included, without line ends and stray spaces.

    Raises:
        DataError: the file is missing, cannot be read, or has two or four bytes a character.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    refuse_wide(content, path)
    fix = f"speechllm fix {path.parent}"
    if content.startswith(b"\xef\xbb\xbf"):
        report(Fault("file starts with a byte-order mark", 1, fix))
        content = content[3:]
    rows: list[Row] = []
    first_line: dict[str, int] = {}
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            message, remedy = not_utf8(path, content)
            report(Fault(message, number, remedy, repr(raw[:40]), mendable=False))
            text = raw.decode("utf-8", errors="replace")
        if text.endswith("\r"):
            report(Fault("Windows line end (CRLF)", number, fix))
        # ASCII blanks only: a no-break space must not cut an id or a word.
        key, *rest = re.split(r"[ \t]+", text.strip(" \t\r"), maxsplit=1)
        if not key:
            report(Fault("empty line", number, fix))
            continue
        if problem := id_problem(key):
            rename = "rename it in every file of the data dir"
            report(Fault(problem, number, rename, repr(key), mendable=False))
        if key in first_line:
            spaces = "; an id with a space in it looks like this too: rename such ids"
            report(Fault("id occurs more than once", number, fix + spaces, key))
        elif rows and key < rows[-1].key:
            report(Fault("not sorted by id (LC_ALL=C)", number, fix, key))
        first_line.setdefault(key, number)
        rows.append(Row(key, rest[0] if rest else "", number))
    return rows


def read_table(path: str | Path) -> dict[str, str]:
    """Read a table; the value of a line that holds just a key is "".

    Raises:
        DataError: with the line, for a duplicate, odd or unsorted id, an empty line, a Windows
            line end, or bytes that are not UTF-8.
    """

    def refuse(fault: Fault) -> None:
        message = f"{fault.message}: {fault.item}" if fault.item else fault.message
        raise DataError(message, path, fault.line, fault.remedy)

    return {row.key: row.value for row in scan_table(path, refuse)}


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Write `table` sorted by key, whole or not at all.

    Raises:
        DataError: an id that cannot be one, or a value with a line end in it.
    """
    with whole_file(path) as stream:
        for key in sorted(table):
            value = table[key].strip()
            if problem := id_problem(key):
                raise DataError(f"{problem}: {key!r}", path)
            if "\n" in value or "\r" in value:
                raise DataError(f"line end in the value of {key}: {value!r}", path)
            stream.write(f"{key} {value}\n" if value else f"{key}\n")
