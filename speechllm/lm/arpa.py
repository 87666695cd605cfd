"""Reading and writing of ARPA files, the exchange format of word n-grams."""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from speechllm.data.exchange.lines import read_lines
from speechllm.errors import DataError
from speechllm.files.whole import whole_file
from speechllm.lm.ngram import BEGIN, END, NEVER, UNKNOWN, NGram, NGramEntry

ROUNDED = 1e-4
"""Largest log10 probability above 0 that is taken for a rounded 0."""
OTHER_NAMES = (
    (BEGIN, re.compile("<s>", re.IGNORECASE)),
    (END, re.compile("</s>", re.IGNORECASE)),
    # SRILM, KenLM, IRSTLM, OpenGrm, MITLM and pocolm write <unk>; CMU's toolkit <UNK>, HTK !!UNK.
    # Texts whose rare words were replaced beforehand have <oov>, [UNK] and the like.
    (
        UNKNOWN,
        re.compile(r"[<\[({!*_@%#+]+(unk|unknown|oov)([-_]?word)?/?[>\])}!*_@%#+]*", re.IGNORECASE),
    ),
    (UNKNOWN, re.compile("UNK|OOV")),
)
_BLANKS = re.compile(r"[ \t]+")
_COUNT = re.compile(r"ngram[ \t]*([0-9]{1,3})[ \t]*=[ \t]*([0-9]{1,18})")


def write_arpa(path: str | Path, model: NGram) -> None:
    """Write a sorted ARPA file; it appears whole or not at all."""
    with whole_file(path) as stream:
        stream.write("\\data\\\n")
        for order, table in enumerate(model.entries, 1):
            stream.write(f"ngram {order}={len(table)}\n")
        for order, table in enumerate(model.entries, 1):
            stream.write(f"\n\\{order}-grams:\n")
            for words, entry in sorted(table.items()):
                backoff = f"\t{entry.backoff:.7g}" if order < model.order else ""
                stream.write(f"{entry.log_prob:.7g}\t{' '.join(words)}{backoff}\n")
        stream.write("\n\\end\\\n")


def read_arpa(path: str | Path) -> NGram:
    """Read an ARPA file, also a gzipped one (`.gz`).

    Text before `\\data\\` is a comment, as in the format. A missing back-off weight is 0, also that
    of a context which the model lacks. <s>, </s> and <unk> may have other names.

    Raises:
        DataError: with file and line: a broken header, counts that are not those of the sections,
            an order that was not announced, a line that is no n-gram, or a file cut short.
    """
    return _ArpaReader(Path(path)).read()


class _ArpaReader:
    """Parser that goes through a file line by line and counts the lines."""

    def __init__(self, path: Path):
        self.path, self.number = path, 0
        self.names: dict[str, str] = {}

    def read(self) -> NGram:
        lines = self._numbered(read_lines(self.path))
        counts, line = self._header(lines)
        tables = []
        for order, count in enumerate(counts, 1):
            if count == 0 and line != f"\\{order}-grams:":  # some tools leave out empty orders
                tables.append({})
                continue
            if line != f"\\{order}-grams:":
                raise self._error(f"expected \\{order}-grams:, not '{line}'")
            table, line = self._section(lines, order, len(counts), count)
            if order == 1:
                self.names = _other_names(word for (word,) in table)
                table = {self._named(words): entry for words, entry in table.items()}
            tables.append(table)
        if line != "\\end\\":
            raise self._error(
                f"expected \\end\\ after {len(counts)} announced orders, not '{line}'"
            )
        if (END,) not in tables[0]:
            raise DataError(f"has no unigram {END}, so no sentence could end", self.path)
        return NGram(tables)

    def _numbered(self, stream: Iterator[str]) -> Iterator[str]:
        for self.number, line in enumerate(stream, 1):
            yield line.strip(" \t\r\n")
        self.number += 1

    def _header(self, lines: Iterator[str]) -> tuple[list[int], str]:
        """Announced counts, and the line that follows them."""
        if not any(line == "\\data\\" for line in lines):
            raise DataError("no line \\data\\: this is no ARPA file", self.path)
        counts: list[int] = []
        for line in lines:
            if not line:
                continue
            if not line.startswith("ngram"):
                break
            announced = _COUNT.fullmatch(line)
            if not announced:
                raise self._error(f"expected 'ngram ORDER=COUNT', not '{line}'")
            if int(announced[1]) != len(counts) + 1:
                raise self._error(f"expected the count of order {len(counts) + 1}, not '{line}'")
            counts.append(int(announced[2]))
        else:
            raise self._error("the file ends within its header")
        if not counts:
            raise self._error(f"the header announces no n-grams before '{line}'")
        return counts, line

    def _section(
        self, lines: Iterator[str], order: int, highest: int, count: int
    ) -> tuple[dict[tuple[str, ...], NGramEntry], str]:
        """N-grams of an order, and the line that follows them."""
        table: dict[tuple[str, ...], NGramEntry] = {}
        for line in lines:
            if not line:
                continue
            if line.startswith("\\") and line.endswith((":", "\\")) and " " not in line:
                break
            words, entry = self._entry(line, order, highest)
            if words in table:
                raise self._error(f"the n-gram '{' '.join(words)}' stands twice")
            table[words] = entry
        else:
            raise self._error(f"the file ends within \\{order}-grams:, without \\end\\")
        if len(table) != count:
            raise self._error(
                f"\\{order}-grams: holds {len(table)} n-grams, the header says {count}"
            )
        return table, line

    def _entry(self, line: str, order: int, highest: int) -> tuple[tuple[str, ...], NGramEntry]:
        # A no-break space does not split a word; an ASCII line has none, and split() is faster.
        log_prob, *words = line.split() if line.isascii() else _BLANKS.split(line)
        backoff = "0"
        if len(words) == order + 1 and (order < highest or _is_zero(words[-1])):
            backoff = words.pop()
        if len(words) != order:
            raise self._error(f"expected a log10 probability and {order} words, not '{line}'")
        probability = self._number(log_prob)
        if probability > ROUNDED:
            raise self._error(f"a log10 probability is at most 0, not {log_prob}")
        entry = NGramEntry(min(probability, 0.0), self._number(backoff))
        return self._named(words) if self.names else tuple(words), entry

    def _named(self, words: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.names.get(word, word) for word in words)

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            raise self._error(f"'{text}' is no number")
        return max(value, NEVER)

    def _error(self, message: str) -> DataError:
        return DataError(message, self.path, self.number, "make the ARPA file again")


def _is_zero(text: str) -> bool:
    """Whether a text is a weight of 0, which some tools write after the longest n-grams, too."""
    return bool(re.fullmatch(r"[-+]?0*\.?0*(e[-+]?[0-9]+)?", text, re.IGNORECASE)) and "0" in text


def _other_names(words: Iterable[str]) -> dict[str, str]:
    """Other names that a file has for <s>, </s> and <unk>: its name -> ours."""
    words = list(words)
    names: dict[str, str] = {}
    for name, pattern in OTHER_NAMES:
        if name not in words and name not in names.values():
            names |= {word: name for word in list(filter(pattern.fullmatch, words))[:1]}
    return names
