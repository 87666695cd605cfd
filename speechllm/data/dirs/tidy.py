"""Fast path for tables without a single fault: thousands of lines are checked at once.

Nearly all tables are of this kind. For any other, `scan_table` goes line by line and says what is
wrong.
"""

from collections.abc import Iterator
from itertools import islice
from operator import lt
from pathlib import Path
from typing import NamedTuple

from speechllm.data.dirs.ids import all_plain, id_problem

BLOCK = 1 << 20  # bytes


class Untidy(Exception):
    """Raised for a table that needs a look at each line."""


class Block(NamedTuple):
    """Consecutive lines of a table.

    Attributes:
        keys: their ids, each greater than the one before.
        values: the rest of each line, without blanks around it; may be "".
        text: the lines, joined by "\\n".
    """

    keys: list[str]
    values: list[str]
    text: str


def tidy_blocks(path: str | Path) -> Iterator[Block]:
    """Read a table in which `scan_table` would find no fault and trim no line.

    Raises:
        Untidy: the table is not like that, or cannot be read. Blocks before that are right.
    """
    last = ""
    for text in _texts(path):
        if "\t" in text or "\r" in text or "\0" in text or " \n" in text or text.endswith(" "):
            raise Untidy(path)
        # Only strings are kept: many tuples would cost the garbage collector much time.
        lines = text.split("\n")
        keys = [line.partition(" ")[0] for line in lines]
        values = [line[len(key) + 1 :] for line, key in zip(lines, keys, strict=True)]
        if not last < keys[0] or not all(map(lt, keys, islice(keys, 1, None))):
            raise Untidy(path)  # an empty key, which an empty line has, is less than any other
        if not all_plain(keys) and any(map(id_problem, keys)):
            raise Untidy(path)
        if "  " in text:
            values = [value.lstrip(" ") for value in values]
        last = keys[-1]
        yield Block(keys, values, text)


def _texts(path: str | Path) -> Iterator[str]:
    """Whole lines, thousands at a time, without the last line's end."""
    try:
        with open(path, "rb") as stream:
            while content := stream.read(BLOCK):
                content += stream.readline()
                yield content.removesuffix(b"\n").decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Untidy(path) from error
