"""Import of records of any format as a data dir; what is changed or lost is logged.

Relative audio paths of a source start at a root, by default the folder of the source. In the data
dir they start at the current directory.
"""

import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path, PurePath

from speechllm.data.dirs.characters import unseen, without_unseen
from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.records import Record, cut_name, file_name, format_seconds
from speechllm.data.dirs.set_tables import SetTables, Table, is_data_dir
from speechllm.data.dirs.tables import CHANNELS, first_ids
from speechllm.data.exchange.columns import table_problem
from speechllm.errors import DataError, shell_word
from speechllm.files.whole import whole_file, whole_folder

log = logging.getLogger(__name__)
AUDIO = "audio"  # folder in the data dir for audio that the source holds itself
LINE_END = re.compile(r"\s*[\r\n]\s*")


def import_set(
    records: Iterable[Record],
    out: Path,
    *,
    audio_root: Path,
    number_ids: str | None = None,
    text_only: bool = False,
    allow_pipes: bool = False,
) -> SetTables:
    """Write a data dir that appears whole; one that is there already is replaced.

    Args:
        records: the utterances.
        out: the data dir.
        audio_root: folder where relative audio paths start.
        number_ids: prefix; utterances get it and their number as ids, instead of the source's ids.
        text_only: leave out all audio.
        allow_pipes: take commands that write audio; they are not run.

    Raises:
        DataError: names the source's file and line; see `_Import.add` and `_Import.finish`.
    """
    with whole_folder(out, is_data_dir) as folder:
        made = _Import(out, folder, audio_root, number_ids, text_only, allow_pipes)
        for record in records:
            made.add(record)
        tables = made.finish()
        tables.write_into(folder)
    return tables


class _Import:
    """Import under way: the tables so far.

    Args:
        out: the data dir that is made.
        folder: temporary folder in which it is made.
        audio_root, number_ids, text_only, allow_pipes: as for `import_set`.
    """

    def __init__(
        self,
        out: Path,
        folder: Path,
        audio_root: Path,
        number_ids: str | None,
        text_only: bool,
        allow_pipes: bool,
    ):
        self.out, self.folder, self.audio_root = out, folder, audio_root
        self.number_ids, self.text_only, self.allow_pipes = number_ids, text_only, allow_pipes
        self.lines: dict[str, int | None] = {}
        self.utterances: dict[str, Table] = {"text": {}, "segments": {}}
        self.wav: Table = {}
        self.channels: Table = {}
        self.own_recordings: list[str] = []
        self.recordings: dict[str, str] = {}  # path -> name that a recording got for want of one
        self.silent: list[Record] = []
        self.unseen: dict[str | None, list[str]] = {}  # replacement of a character -> utterances

    def add(self, record: Record) -> None:
        """Take one record.

        Raises:
            DataError: an id that is missing, invalid or repeated; an invalid speaker; a command
                that is not allowed; an address instead of a file; a cut that ends before it
                starts; a duration not above 0; a recording that is two files; a table that cannot
                have its name, or a line end in its value.
        """
        record = self._named(record)
        utt = record.id
        self.lines[utt] = record.line
        self._put("text", record, self._one_line(record))
        if not self.text_only:
            self._audio(record)
        if record.speaker is not None:
            if problem := id_problem(record.speaker):
                raise _error(record, f"speaker {record.speaker!r}: {problem}", "rename it")
            self._put("utt2spk", record, record.speaker)
        if record.duration is not None and not self.text_only:
            if record.duration <= 0:
                raise _error(record, f"{utt} has a duration of {record.duration} s")
            self._put("utt2dur", record, format_seconds(record.duration))
        if record.entities is not None:
            self._put("entities", record, json.dumps(record.entities, ensure_ascii=False))
        for name, value in record.tables.items():
            if problem := table_problem(name):
                raise _error(record, f"a table cannot be called {name!r}: {problem}")
            if LINE_END.search(value):
                raise _error(record, f"line end in '{name}' of {utt}")
            self._put(name, record, value)

    def _named(self, record: Record) -> Record:
        if self.number_ids is not None:
            name = f"{self.number_ids}{len(self.lines) + 1:07d}"
        elif record.id or record.audio is None or record.start is None:
            name = record.id or file_name(record.audio)
        else:
            name = cut_name(record.audio, record.start, record.end)
        if name and record.channel is not None and not (record.id or self.number_ids):
            name = f"{name}-{record.channel}"
        rename = "rename it, or let --number_ids PREFIX number the utterances"
        if not name:
            raise _error(record, "there is no id", "--number_ids PREFIX numbers the utterances")
        if problem := id_problem(name):
            raise _error(record, f"{problem}: {name!r}", rename)
        if name in self.lines:
            message = f"the id {name} also stands in line {self.lines[name] or '?'}"
            raise _error(record, message, rename)
        return replace(record, id=name)

    def _one_line(self, record: Record) -> str:
        first = {odd.instead: odd for odd in reversed(unseen(record.text))}
        for instead, odd in first.items():
            self.unseen.setdefault(instead, []).append(f"{record.id} ({odd})")
        return without_unseen(record.text)

    def _put(self, table: str, record: Record, value: str) -> None:
        self.utterances.setdefault(table, {})[record.id] = value

    def _audio(self, record: Record) -> None:
        if record.audio is None and record.content is None:
            self.silent.append(record)
            return
        path = self._path(record)
        if record.start is None and record.end is None:
            name = record.id
            self.own_recordings.append(name)
        else:
            start = record.start or Decimal(0)
            if start < 0 or (record.end is not None and record.end <= start):
                raise _error(record, f"{record.id} is cut from {start} to {record.end} s")
            name = self._side(record.recording or self._recording_of(path), path, record.channel)
            if problem := id_problem(name):
                raise _error(record, f"recording {name!r}: {problem}", "rename it")
            end = "-1" if record.end is None else format_seconds(record.end)
            self._put("segments", record, f"{name} {format_seconds(start)} {end}")
        if record.channel is not None:
            self.channels[name] = str(record.channel)
        if self.wav.setdefault(name, path) != path:
            raise _error(record, f"the recording {name} is {self.wav[name]} in an earlier line")

    def _side(self, name: str, path: str, channel: int | None) -> str:
        """Name of a recording; with its channel, if earlier lines take another channel of it."""
        said = "" if channel is None else str(channel)
        if self.wav.get(name) == path and self.channels.get(name, "") != said:
            return f"{name}-{said or 'mean'}"
        return name

    def _path(self, record: Record) -> str:
        """Return the entry of wav.scp."""
        if record.content is not None:
            return self._write(record, record.content)
        assert record.audio is not None
        if record.is_command:
            if not self.allow_pipes:
                remedy = "--allow_pipes, if you trust the file"
                raise _error(record, f"{record.id}: shell commands are not allowed", remedy)
            return record.audio
        if re.match(r"[a-z][a-z0-9+.-]+://", record.audio):
            raise _error(record, f"{record.audio} is no file of this machine", "fetch it first")
        if os.path.isabs(record.audio):
            return record.audio
        return os.path.normpath(self.audio_root / record.audio)

    def _write(self, record: Record, content: bytes) -> str:
        suffix = PurePath(record.audio or "").suffix.lower()
        name = record.id + (suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ".wav")
        with whole_file(self.folder / AUDIO / name, "wb") as stream:
            stream.write(content)
        return str(self.out / AUDIO / name)

    def _recording_of(self, path: str) -> str:
        """Name a recording after its file, and after its folders too where file names are equal."""
        if path in self.recordings:
            return self.recordings[path]
        parts = PurePath(path).with_suffix("").parts
        for count in range(1, len(parts) + 1):
            name = "-".join(parts[-count:]).replace("/", "")
            if self.wav.get(name, path) == path:
                break
        self.recordings[path] = name
        return name

    def finish(self) -> SetTables:
        """Fill in what some records lack; log what was changed.

        Raises:
            DataError: there is no record, or only some have audio.
        """
        text = self.utterances["text"]
        if not text:
            raise DataError("there is no utterance in the source", self.audio_root)
        if self.silent and self.wav:
            first = self.silent[0]
            message = f"no audio, while others have some: {first_ids(r.id for r in self.silent)}"
            raise _error(first, message, "--text_only takes the transcripts alone")
        for instead, said in {
            " ": "line ends and tabs in transcripts became blanks",
            "": "characters that nobody sees were left out",
            None: "characters that nobody sees "
            f"(speechllm data check {shell_word(self.out)} says more)",
        }.items():
            if instead in self.unseen:
                log.warning("%s: %s", said, first_ids(self.unseen[instead]))
        tables = {name: table for name, table in self.utterances.items() if table}
        if self.wav or "utt2spk" in tables:
            speakers = tables.setdefault("utt2spk", {})
            if alone := [utt for utt in text if utt not in speakers]:
                log.warning("no speaker, so each its own: %s", first_ids(alone))
            tables["utt2spk"] = {utt: speakers.get(utt, utt) for utt in text}
        durations = tables.get("utt2dur", {})
        if not self.wav and durations:
            log.warning("durations are not taken, since there is no audio")
            del tables["utt2dur"]
        elif self.wav and len(durations) < len(text):
            lacking = [utt for utt in text if utt not in durations]
            fix = f"speechllm data fix {shell_word(self.out)} measures them"
            log.warning("no utt2dur, for want of durations: %s; %s", first_ids(lacking), fix)
            tables.pop("utt2dur", None)
        of_recordings = {"wav.scp": self.wav, CHANNELS: self.channels}
        of_recordings = {name: table for name, table in of_recordings.items() if table}
        if "segments" not in tables:
            return SetTables(self.out, tables | of_recordings)
        tables["segments"] |= {name: f"{name} 0.0000 -1" for name in self.own_recordings}
        return SetTables(self.out, tables, of_recordings)


def _error(record: Record, message: str, remedy: str | None = None) -> DataError:
    return DataError(message, record.file, record.line, remedy)
