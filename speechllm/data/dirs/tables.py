"""Kaldi tables: text files of lines `key value`, read strictly.

Sorted by key in the C locale (which is Python's order of str), UTF-8, Unix line ends.
"""

import codecs
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from operator import eq
from pathlib import Path
from typing import NamedTuple, TypeVar

from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.tidy import Untidy, tidy_blocks
from speechllm.errors import DataError, shell_word
from speechllm.files.utf8 import not_utf8, refuse_wide
from speechllm.files.whole import whole_file

T = TypeVar("T")

FIRST_IDS = 5
CHANNELS = "reco2channel"
"""Table of recording -> channel to take; without an entry, the mean of all channels."""
TABLES = ("text", "wav.scp", CHANNELS, "segments", "utt2spk", "spk2utt", "utt2dur", "entities")
"""Those that `speechllm data fix` mends."""
NO_DATA_DIR = "check the path; a recipe makes its data dirs in stage 1 (data)"
NO_RECORDINGS = "it cuts recordings, and there is no wav.scp"
ADD_RECORDINGS = "write wav.scp, a line `recording path` for each; or remove segments"
NO_TEXT = "write it, a line `utterance transcript` for each; a recipe does in stage 1 (data)"


class Row(NamedTuple):
    """One line of a table."""

    key: str
    value: str
    line: int


class Fault(NamedTuple):
    """Something wrong in one line of a table.

    Attributes:
        item: what it is about: an id or a value.
        mendable: `speechllm data fix` can mend it; otherwise it takes an edit.
        harmless: the line can be read all the same, and nothing is lost.
        other: the line that has the same id and another value; 0: there is none.
    """

    message: str
    line: int
    remedy: str
    item: str = ""
    mendable: bool = True
    harmless: bool = False
    other: int = 0


def first_ids(ids: Iterable[str]) -> str:
    """Return "3 (a, b, c)", naming at most the first five ids."""
    ids = list(ids)
    more = ", ..." if len(ids) > FIRST_IDS else ""
    return f"{len(ids)} ({', '.join(ids[:FIRST_IDS])}{more})"


def scan_table(path: str | Path, report: Callable[[Fault], None]) -> list[Row]:
    """Read a table to its end and pass every fault of its lines to `report`.

    Returns:
        All rows that have a key, duplicates included, without line ends and stray spaces.

    Raises:
        DataError: the file is missing, cannot be read, or is UTF-16 or UTF-32.
    """
    path = Path(path)
    rows: list[Row] = []
    with suppress(Untidy):
        for block in tidy_blocks(path):
            rows += map(Row, block.keys, block.values, count(len(rows) + 1))
        return rows
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    refuse_wide(content, path)
    mend = _Remedies(path)

    def tidy(message: str, line: int, remedy: str, item: str = "") -> None:
        report(Fault(message, line, remedy, item, harmless=True))

    if content.startswith(codecs.BOM_UTF8):
        tidy("file starts with a byte-order mark", 1, mend.by("tail -c +4 {} > {new}"))
        content = content[3:]
    rows = []
    first: dict[str, Row] = {}
    for number, raw in enumerate(io.BytesIO(content), 1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            message, remedy = not_utf8(path, content)
            start = raw.removesuffix(b"\n")[:40]
            report(Fault(message, number, remedy, repr(start), mendable=False))
            text = raw.decode("utf-8", errors="replace")
        text = text.removesuffix("\n")
        if text.endswith("\r"):
            tidy("Windows line end (CRLF)", number, mend.by("tr -d '\\r' < {} > {new}"))
        # ASCII blanks only: a no-break space must not cut an id or a word.
        key, blank, value = text.strip(" \t\r").partition(" ")
        if "\t" in key:
            key, _, begin = key.partition("\t")
            value = begin + blank + value
        if not key:
            tidy("empty line", number, mend.by("grep -v '^[[:space:]]*$' {} > {new}"))
            continue
        if problem := id_problem(key):
            rename = "rename it in every file of the data dir"
            report(Fault(problem, number, rename, repr(key), mendable=False))
        row = Row(key, value.lstrip(" \t"), number)
        if key in first:
            other = 0 if first[key].value == row.value else first[key].line
            remedy = mend.double(not other)
            report(Fault("id occurs more than once", number, remedy, key, other=other))
        elif rows and key < rows[-1].key:
            tidy("not sorted by id (LC_ALL=C)", number, mend.by("LC_ALL=C sort {} > {new}"), key)
        first.setdefault(key, row)
        rows.append(row)
    return rows


class _Remedies:
    """Remedies for a table: `speechllm data fix` where it knows the table, else tools that are
    everywhere.
    """

    def __init__(self, path: Path):
        self.path = path
        known = path.name in TABLES and (path.parent / "text").is_file()
        self.fix = f"speechllm data fix {shell_word(path.parent)}" if known else None

    def by(self, command: str) -> str:
        """Remedy by `speechllm data fix`, else by `command`, which writes {new} from {}."""
        old, new = shell_word(self.path), shell_word(f"{self.path}.new")
        return self.fix or f"{command.format(old, new=new)} && mv {new} {old}"

    def double(self, equal: bool) -> str:
        """Remedy for two lines with one id; only equal lines can be fixed without asking."""
        mend = self.fix if self.fix and equal else "delete one of its lines"
        return f"{mend}; an id with a space in it looks like this too: rename such ids"


def read_table(path: str | Path, strict: bool = True) -> dict[str, str]:
    """Read a table, sorted by key; the value of a line that holds just a key is "".

    Args:
        path: the table.
        strict: False for files that other tools wrote, such as hypotheses: harmless faults (any
            order, Windows line ends, empty lines, a byte-order mark) are accepted.

    Raises:
        DataError: names the line: a duplicate or invalid id, or bytes that are not UTF-8; if
            strict, also a harmless fault.
    """

    with suppress(Untidy):
        table: dict[str, str] = {}
        for block in tidy_blocks(path):
            table.update(zip(block.keys, block.values, strict=True))
        return table

    def refuse(fault: Fault) -> None:
        if fault.harmless and not strict:
            return
        message = f"{fault.message}: {fault.item}" if fault.item else fault.message
        raise DataError(message, path, fault.line, fault.remedy)

    rows = scan_table(path, refuse)
    return {row.key: row.value for row in (rows if strict else sorted(rows))}


def share_keys(table: dict[str, T], other: Mapping[str, object]) -> dict[str, T]:
    """Return the table with the keys of `other`, if they are equal and in the same order.

    Read from two files they are two strings each, which takes 60 MB for a million utterances.
    """
    same = len(table) == len(other) and all(map(eq, table, other))
    return dict(zip(other, table.values(), strict=True)) if same else table


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Write `table` sorted by key, whole or not at all.

    Raises:
        DataError: an invalid id, or a value with a line end in it.
    """
    with whole_file(path) as stream:
        for key in sorted(table):
            value = table[key].strip()
            if problem := id_problem(key):
                raise DataError(f"{problem}: {key!r}", path)
            if "\n" in value or "\r" in value:
                raise DataError(f"line end in the value of {key}: {value!r}", path)
            stream.write(f"{key} {value}\n" if value else f"{key}\n")
