"""Bias lists of a data dir: words and phrases that are likely to be said.

biasing      utterance JSON-list     the list of an utterance: ["sugar beet", "aphids"]
bias_words   one word or phrase a line: the list of all utterances that have none of their own
"""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechllm.config import SPEECH_MARKER
from speechllm.data.dirs.characters import unseen
from speechllm.data.dirs.forms import Fold, fold
from speechllm.data.dirs.tables import Fault, first_ids, read_table, write_table
from speechllm.errors import DataError
from speechllm.files.strict_json import load_json
from speechllm.files.utf8 import not_utf8, refuse_wide
from speechllm.files.whole import whole_file

BIASING, BIAS_WORDS = "biasing", "bias_words"
MOST_ENTRIES = 200_000
"""Entries of the largest list; more are refused, since the search would seem to hang."""


@dataclass(frozen=True)
class BiasLists:
    """Bias lists of one set.

    Attributes:
        own: utterance -> list, for utterances with a line in `biasing`; a list may be empty.
        words: the list of all other utterances.
    """

    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    words: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.own or self.words)

    def of(self, utt: str) -> Sequence[str]:
        """Bias list of an utterance."""
        return self.own.get(utt, self.words)

    @property
    def entries(self) -> list[str]:
        """Entries of all lists, each once."""
        own = (entry for entries in self.own.values() for entry in entries)
        return list(dict.fromkeys((*self.words, *own)))

    def folded(self, folds: Sequence[Fold]) -> "BiasLists":
        """Fold all entries; of those that become equal one is kept, empty ones are left out."""
        if not folds:
            return self
        form = {entry: fold(entry, folds) for entry in self.entries}

        def of(entries: Sequence[str]) -> list[str]:
            return [entry for entry in dict.fromkeys(form[e] for e in entries) if entry]

        return BiasLists({utt: of(entries) for utt, entries in self.own.items()}, of(self.words))

    @property
    def sha256(self) -> str:
        """Hash of all lists, on which hypotheses may depend."""
        text = json.dumps([sorted(self.own.items()), list(self.words)], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def entry_problem(entry: object) -> str | None:
    """Say why something cannot be an entry of a list; None if it can."""
    if not isinstance(entry, str):
        return "entry is not a string"
    if not entry.strip():
        return "entry is empty"
    if odd := next(iter(unseen(entry)), None):
        return f"entry holds a line end, or a character that nobody sees ({odd})"
    if SPEECH_MARKER in entry:
        return f"entry holds the marker {SPEECH_MARKER}"
    return None


def spaced(entry: str) -> str:
    """Entry with single blanks between its words, as in hypotheses."""
    return " ".join(entry.split())


def doubled(entries: Iterable[str]) -> list[str]:
    """Entries that occur more than once, in the order of their repetitions."""
    seen: set[str] = set()
    twice = []
    for entry in entries:
        if entry in seen:
            twice.append(entry)
        seen.add(entry)
    return twice


def parse_biasing(value: str) -> list[str]:
    """Parse the value of a line of `biasing`.

    Raises:
        ValueError: not a JSON list of words and phrases, an empty or repeated entry, or too many
            entries.
    """
    entries = load_json(value)
    if not isinstance(entries, list):
        raise ValueError("not a JSON list of words and phrases")
    if problem := next(filter(None, map(entry_problem, entries)), None):
        raise ValueError(problem)
    entries = list(map(spaced, entries))
    if twice := doubled(entries):
        raise ValueError(f"entry stands twice: {twice[0]}")
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"more than {MOST_ENTRIES:,} entries: {len(entries):,}")
    return entries


def scan_words(path: Path, report: Callable[[Fault], None]) -> list[str]:
    """Read `bias_words` to its end and pass every fault of its lines to `report`.

    Raises:
        DataError: the file cannot be read, or has more than `MOST_ENTRIES`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    refuse_wide(content, path)
    lines = content.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").split(b"\n")
    if len(lines) > MOST_ENTRIES:
        message = f"{len(lines):,} words and phrases; {MOST_ENTRIES:,} are the most"
        raise DataError(message, path, remedy="leave out those that any recogniser knows")
    first_line: dict[str, int] = {}
    for number, raw in enumerate(lines, 1):
        edit = "mend or delete the line"
        try:
            entry = raw.decode("utf-8").removesuffix("\r").strip(" ")
        except UnicodeDecodeError:
            message, remedy = not_utf8(path)
            report(Fault(message, number, remedy, repr(raw[:40])))
            continue
        if problem := entry_problem(entry):
            report(Fault(problem, number, edit, repr(entry) if entry else ""))
        elif (entry := spaced(entry)) in first_line:
            report(Fault("entry stands twice", number, "delete one of the two lines", entry))
        else:
            first_line[entry] = number
    return list(first_line)


def read_words(path: Path) -> list[str]:
    """Read `bias_words`, strictly.

    Raises:
        DataError: names the line: not UTF-8, empty, or with an entry that is invalid or repeated;
            otherwise as `scan_words`.
    """

    def refuse(fault: Fault) -> None:
        message = f"{fault.message}: {fault.item}" if fault.item else fault.message
        raise DataError(message, path, fault.line, fault.remedy)

    return scan_words(path, refuse)


def read_bias_lists(path: Path, ids: Iterable[str]) -> BiasLists:
    """Read the lists of a data dir; a set without either file has none.

    Args:
        path: the data dir.
        ids: the set's utterances.

    Raises:
        DataError: a malformed line, or a list of an utterance that the set does not have.
    """
    own: dict[str, list[str]] = {}
    file = path / BIASING
    if file.is_file():
        for line, (utt, value) in enumerate(read_table(file).items(), 1):
            try:
                own[utt] = parse_biasing(value)
            except ValueError as error:
                raise DataError(f"{utt}: {error}", file, line, "mend or delete the line") from error
        if unknown := sorted(own.keys() - set(ids)):
            message = f"lists of unknown utterances: {first_ids(unknown)}"
            raise DataError(message, file, remedy="delete these lines")
    words = read_words(path / BIAS_WORDS) if (path / BIAS_WORDS).is_file() else ()
    return BiasLists(own, words)


def write_biasing(path: Path, own: Mapping[str, Sequence[str]]) -> None:
    """Write the table `biasing` of a data dir."""
    rows = {utt: json.dumps(list(entries), ensure_ascii=False) for utt, entries in own.items()}
    write_table(path / BIASING, rows)


def write_words(path: Path, words: Iterable[str]) -> None:
    """Write `bias_words` of a data dir.

    Raises:
        DataError: an invalid entry.
    """
    with whole_file(path / BIAS_WORDS) as stream:
        for entry in words:
            if problem := entry_problem(entry):
                raise DataError(f"{problem}: {entry!r}", path / BIAS_WORDS)
            stream.write(f"{entry}\n")
