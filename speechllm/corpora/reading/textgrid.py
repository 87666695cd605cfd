"""Praat's TextGrids, in the long and the short text format."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speechllm.data.dirs.kaldi import MOST_SECONDS
from speechllm.errors import DataError
from speechllm.files.utf8 import decode

# Only free-standing strings, numbers and flags count; `xmin =` and `[1]:` are for human readers.
TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"(?=\s|$)|(?P<flag><\w+>)(?=\s|$)|(?P<word>\S+)')
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
OVERLAP = 1e-6  # seconds that rounding may leave between neighbours


class Interval(NamedTuple):
    """Stretch of a tier, in seconds; `line` is the line in the file where it begins."""

    start: float
    end: float
    text: str
    line: int


class Tier(NamedTuple):
    """Interval tier: its intervals in order, silent ones with an empty text."""

    name: str
    intervals: list[Interval]


def read_textgrid(path: Path) -> list[Tier]:
    """Read the interval tiers; point tiers are left out.

    Raises:
        DataError: with the line: not a TextGrid, or one that is broken or cut off; an interval
            that ends before it starts, or starts before its neighbour ends.
    """
    tokens = _Tokens(path)
    if (tokens.text(), tokens.text()) != ("ooTextFile", "TextGrid"):
        raise DataError("not a TextGrid", path, 1)
    tokens.number(), tokens.number()
    if tokens.flag() != "<exists>":
        return []
    tiers = []
    for _ in range(tokens.count()):
        kind, line, name = tokens.text(), tokens.line, tokens.text()
        tokens.number(), tokens.number()
        if kind == "IntervalTier":
            tiers.append(Tier(name, _intervals(tokens, path)))
        elif kind == "TextTier":
            for _ in range(tokens.count()):
                tokens.number(), tokens.text()
        else:
            message = f"a tier is an IntervalTier or a TextTier, not {kind!r}"
            raise DataError(message, path, line)
    tokens.finish()
    return tiers


def _intervals(tokens: "_Tokens", path: Path) -> list[Interval]:
    intervals: list[Interval] = []
    for _ in range(tokens.count()):
        start = tokens.number()
        line = tokens.line
        end, text = tokens.number(), tokens.text()
        if end <= start:
            raise DataError(f"interval ends at {end:g} s, and starts at {start:g} s", path, line)
        if intervals and start < intervals[-1].end - OVERLAP:
            message = f"interval starts at {start:g} s, before the one of line {intervals[-1].line}"
            raise DataError(f"{message} ends ({intervals[-1].end:g} s)", path, line)
        intervals.append(Interval(start, end, text, line))
    return intervals


class _Tokens:
    """The free-standing strings, numbers and flags of a file, one after the other.

    Attributes:
        line: line of the last token taken.
    """

    def __init__(self, path: Path):
        self.path, self.line = path, 1
        self._tokens = self._read()

    def _read(self) -> Iterator[tuple[int, str, str]]:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", self.path) from error
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Praat's own choice
        try:
            text = content.decode("utf-16") if utf16 else decode(content, self.path)
        except UnicodeDecodeError as error:
            raise DataError(f"is cut off: {error.reason}", self.path) from error
        line, place = 1, 0
        for match in TOKEN.finditer(text):
            line, place = line + text.count("\n", place, match.start()), match.start()
            if match["text"] is not None:
                yield line, "text", match["text"].replace('""', '"')
            elif match["flag"]:
                yield line, "flag", match["flag"]
            elif match["word"].startswith('"'):
                raise DataError("a string does not end", self.path, line)
            elif NUMBER.fullmatch(match["word"]):
                yield line, "number", match["word"]

    def _next(self, kind: str) -> str:
        line, found, value = next(self._tokens, (self.line, "end of the file", ""))
        self.line = line
        if found != kind:
            raise DataError(f"a {kind} is wanted, here is: {value or found}", self.path, line)
        return value

    def text(self) -> str:
        return self._next("text")

    def flag(self) -> str:
        return self._next("flag")

    def number(self) -> float:
        value = float(self._next("number"))
        if abs(value) > MOST_SECONDS:
            raise DataError(f"not a number of seconds: {value:g}", self.path, self.line)
        return value

    def count(self) -> int:
        value = self._next("number")
        if not re.fullmatch("[0-9]{1,9}", value):
            raise DataError(f"a count is wanted, not {value}", self.path, self.line)
        return int(value)

    def finish(self) -> None:
        for line, _, value in self._tokens:
            raise DataError(f"more than was announced: {value}", self.path, line)
