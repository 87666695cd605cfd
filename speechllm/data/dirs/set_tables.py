"""All tables of a data dir as they are, unknown ones included, so that a part of a set, or a union
of sets, has them all.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from speechllm.data.dirs.bias_lists import BIAS_WORDS, read_words, write_words
from speechllm.data.dirs.kaldi import TABLES, DataDir, spk2utt_of
from speechllm.data.dirs.records import seconds
from speechllm.data.dirs.tables import CHANNELS, first_ids, read_table, write_table
from speechllm.errors import DataError, shell_word
from speechllm.files.garbage import uncollected
from speechllm.files.whole import whole_folder

log = logging.getLogger(__name__)
Table = dict[str, str]
SPEAKERS = "spk2utt"  # made of utt2spk
MADE_FOLDERS = ("audio", ".backup")  # what may stand in a data dir beside files


@dataclass
class SetTables:
    """Tables of one set.

    Attributes:
        path: the data dir.
        utterances: table -> utterance -> value; `text` is always there. Without `segments`,
            `wav.scp` is one of them.
        recordings: tables by recording, `wav.scp` first, where there are `segments`.
        speakers: tables by speaker, such as `spk2gender`; not `spk2utt`.
        bias_words: the set's bias list, which all parts of it keep.
    """

    path: Path
    utterances: dict[str, Table]
    recordings: dict[str, Table] = field(default_factory=dict)
    speakers: dict[str, Table] = field(default_factory=dict)
    bias_words: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return list(self.utterances["text"])

    @property
    def names(self) -> list[str]:
        """Names of all tables that `write` writes, known ones first."""
        tables = {**self.utterances, **self.recordings, **self.speakers}
        made = [SPEAKERS] if "utt2spk" in tables else []
        known = [name for name in TABLES if name in tables or name in made]
        return known + [name for name in tables if name not in TABLES]

    @property
    def further(self) -> list[str]:
        """Names of the tables of utterances that this toolkit does not know."""
        return [name for name in self.utterances if name not in TABLES]

    def recording_of(self, utt: str) -> str:
        segments = self.utterances.get("segments")
        return segments[utt].split()[0] if segments else utt

    def speaker_of(self, utt: str) -> str:
        return self.utterances.get("utt2spk", {}).get(utt, utt)

    def lengths(self) -> dict[str, Decimal]:
        """Seconds of every utterance.

        Raises:
            DataError: there is no `utt2dur`, or a length is none.
        """
        if "utt2dur" not in self.utterances:
            remedy = f"speechllm data fix {shell_word(self.path)} measures it"
            raise DataError(
                "no such file, and lengths are needed", self.path / "utt2dur", None, remedy
            )
        table = self.utterances["utt2dur"]
        return {utt: self.time("utt2dur", utt, value) for utt, value in table.items()}

    def time(self, table: str, utt: str, value: str) -> Decimal:
        """Parse a time of an utterance.

        Args:
            table: table that holds it, for the error message.
            utt: the utterance.
            value: the time in seconds.

        Raises:
            DataError: it has an exponent, or decimals, that no time has.
        """
        try:
            return seconds(value)
        except ValueError as error:
            message = f"{utt}: {error}"
            raise DataError(message, self.path / table, remedy="mend the line") from error

    def select(self, wanted: Collection[str]) -> "SetTables":
        """Return the part with these utterances, and the recordings and speakers that they need."""
        chosen = set(wanted)
        recordings = {self.recording_of(utt) for utt in chosen}
        speakers = {self.speaker_of(utt) for utt in chosen}
        return SetTables(
            self.path,
            _cut(self.utterances, chosen),
            _cut(self.recordings, recordings),
            _cut(self.speakers, speakers),
            self.bias_words,
        )

    def write(self, path: Path) -> None:
        """Write a data dir that appears whole; one that is there already is replaced.

        Raises:
            DataError: there is something in that place that is not just a data dir.
        """
        with whole_folder(path, is_data_dir) as folder:
            self.write_into(folder)

    def write_into(self, folder: Path) -> None:
        """Write the tables that are not empty, `spk2utt` and `bias_words`."""
        tables = {**self.utterances, **self.recordings, **self.speakers}
        if "utt2spk" in tables:
            tables[SPEAKERS] = spk2utt_of(tables["utt2spk"])
        for name, table in tables.items():
            if table:
                write_table(folder / name, table)
        if self.bias_words:
            write_words(folder, self.bias_words)


def _cut(tables: dict[str, Table], keys: set[str]) -> dict[str, Table]:
    return {
        name: {key: value for key, value in table.items() if key in keys}
        for name, table in tables.items()
    }


def refuse_inside(source: Path, target: Path) -> None:
    """Raise DataError if writing `target` as a whole would remove `source`."""
    place = source.resolve()
    if target.resolve() in (place, *place.parents):
        message = f"this folder is to be written, and holds {source}, which is read"
        raise DataError(message, target, remedy="name another place")


def is_data_dir(path: Path) -> bool:
    """Whether a folder holds a data dir and nothing else, so that a new one may replace it."""
    others = [p.name for p in path.iterdir() if p.is_dir() and p.name not in MADE_FOLDERS]
    return (path / "text").is_file() and not [n for n in others if not n.startswith("split")]


@uncollected()
def read_set(path: Path) -> SetTables:
    """Read a set with all its tables.

    Files that are no tables of its utterances, recordings or speakers, and unknown keys, are left
    out with a warning.

    Raises:
        DataError: as `DataDir.load`.
    """
    DataDir.load(path)
    tables = {name: read_table(path / name) for name in TABLES if (path / name).is_file()}
    tables.pop(SPEAKERS, None)
    result = SetTables(path, tables)
    if "segments" in tables:
        for name in ("wav.scp", CHANNELS):
            if name in tables:
                result.recordings[name] = tables.pop(name)
    known = {
        "utterances": set(tables["text"]),
        "recordings": {result.recording_of(utt) for utt in tables["text"]},
        "speakers": set(tables.get("utt2spk", {}).values()),
    }
    further, no_tables = further_tables(path)
    for error in no_tables:
        log.warning("not taken, since it is no table: %s", error.message)
    for name, table in further.items():
        found = {kind: len(keys & table.keys()) for kind, keys in known.items()}
        kind = max(found, key=lambda kind: found[kind])
        if not found[kind]:
            log.warning("%s: not taken: no id of this set stands in it", path / name)
            continue
        getattr(result, kind)[name] = {k: v for k, v in table.items() if k in known[kind]}
        if unknown := [key for key in table if key not in known[kind]]:
            log.warning("%s: not taken: unknown %s: %s", path / name, kind, first_ids(unknown))
    if (path / BIAS_WORDS).is_file():
        result.bias_words = read_words(path / BIAS_WORDS)
    return result


def further_tables(path: Path) -> tuple[dict[str, Table], list[DataError]]:
    """Read the files of a data dir that this toolkit does not know; hidden ones are skipped.

    Returns:
        The tables by name, and the errors of files that are not tables.
    """
    tables, errors = {}, []
    for file in sorted(path.iterdir()):
        known = file.name in TABLES or file.name == BIAS_WORDS
        if known or file.name.startswith(".") or not file.is_file():
            continue
        try:
            tables[file.name] = read_table(file)
        except DataError as error:
            errors.append(error)
    return tables, errors
