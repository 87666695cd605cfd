"""Export of a data dir as records of a format; what the format cannot hold is refused or logged.

Audio paths become absolute, so that they mean the same to every reader, or relative to the folder
of the result, so that it can be moved together with its audio.
"""

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from speechllm.data.dirs.kaldi import parse_channel, parse_entities
from speechllm.data.dirs.records import CHANNEL, Record
from speechllm.data.dirs.set_tables import SetTables, read_set
from speechllm.data.dirs.tables import CHANNELS, first_ids
from speechllm.errors import DataError

log = logging.getLogger(__name__)


def export_set(
    data_dir: Path,
    form: ModuleType,
    target: Path,
    *,
    relative_paths: bool = False,
    audio_dir: Path | None = None,
    allow_pipes: bool = False,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Write a data dir in a format; return the number of utterances.

    Args:
        data_dir: the set to export.
        form: module of the format (`speechllm.data.exchange.formats`).
        target: file or folder to write.
        relative_paths: audio paths start at the folder of the result.
        audio_dir: first write each utterance's samples to a file there.
        allow_pipes: take commands in `wav.scp`, and run them where their audio is needed.
        options: options of `form.write`.

    Raises:
        DataError: the set cannot be read, or the format cannot hold it.
    """
    tables = read_set(data_dir)
    records = SetRecords(tables)
    _check_commands(tables, allow_pipes)
    if audio_dir is not None:
        from speechllm.data.exchange.record_audio import copy_utterances

        records = SetRecords(tables, copies=copy_utterances(records, audio_dir, allow_pipes))
    _check_holds(records, form)
    _say_what_is_left(tables)
    records.folder = (target if form.FOLDER else target.parent) if relative_paths else None
    form.write(records, target, **(options or {}))
    return len(records)


class SetRecords(Collection[Record]):
    """Records of a set's utterances, in the order of their ids; made when asked for.

    Args:
        tables: the set.
        copies: utterance -> file with just its samples, where such were written.

    Attributes:
        folder: audio paths are relative to it; None: they are absolute.
    """

    def __init__(self, tables: SetTables, copies: Mapping[str, str] | None = None):
        self.tables, self.copies = tables, copies or {}
        self.folder: Path | None = None

    def __len__(self) -> int:
        return len(self.tables.ids)

    def __contains__(self, record: object) -> bool:
        return record in iter(self)

    def __iter__(self) -> Iterator[Record]:
        return map(self._record, self.tables.ids)

    def _record(self, utt: str) -> Record:
        tables = self.tables.utterances
        entities = tables.get("entities", {}).get(utt)
        duration = tables.get("utt2dur", {}).get(utt)
        return Record(
            utt,
            tables["text"][utt],
            speaker=tables.get("utt2spk", {}).get(utt),
            duration=None if duration is None else self.tables.time("utt2dur", utt, duration),
            entities=None if entities is None else parse_entities(entities),
            tables={n: tables[n][utt] for n in self.tables.further if utt in tables[n]},
            **self._audio(utt),
        )

    def _audio(self, utt: str) -> dict[str, Any]:
        if self.copies:
            return {"audio": self._path(self.copies[utt])}
        segments = self.tables.utterances.get("segments")
        if segments is None:
            path = self.tables.utterances.get("wav.scp", {}).get(utt)
            return {} if path is None else {"audio": self._path(path), **self._channel(utt)}
        recording, start, end = segments[utt].split()
        return {
            **self._channel(recording),
            "audio": self._path(self.tables.recordings["wav.scp"][recording]),
            "recording": recording,
            "start": self.tables.time("segments", utt, start),
            "end": None if float(end) == -1 else self.tables.time("segments", utt, end),
        }

    def _channel(self, recording: str) -> dict[str, int]:
        tables = {**self.tables.utterances, **self.tables.recordings}
        channel = tables.get(CHANNELS, {}).get(recording)
        return {} if channel is None else {CHANNEL: parse_channel(channel)}

    def _path(self, path: str) -> str:
        if path.endswith("|"):
            return path
        return os.path.abspath(path) if self.folder is None else os.path.relpath(path, self.folder)


def _check_commands(tables: SetTables, allow_pipes: bool) -> None:
    wav = {**tables.utterances, **tables.recordings}.get("wav.scp", {})
    commands = [name for name, source in wav.items() if source.endswith("|")]
    if commands and not allow_pipes:
        message = f"shell commands are not allowed: {first_ids(commands)}"
        raise DataError(
            message, tables.path / "wav.scp", None, "--allow_pipes, if you trust the file"
        )


def _check_holds(records: SetRecords, form: ModuleType) -> None:
    remedy = "--audio_dir DIR writes each utterance to a file of its own first"
    name = form.__name__.rpartition(".")[2]
    path = records.tables.path
    first = next(iter(records))
    if first.audio is None and not form.HOLDS.text_only:
        raise DataError(f"{name} cannot hold utterances without audio", path)
    if first.recording is not None and not form.HOLDS.cuts:
        raise DataError(f"{name} cannot hold parts of recordings", path / "segments", None, remedy)
    sides = [record.id for record in records if record.channel is not None]
    if sides and not form.HOLDS.cuts:
        message = f"{name} cannot hold one channel of several: {first_ids(sides)}"
        raise DataError(message, path / CHANNELS, None, remedy)
    commands = [record.id for record in records if record.is_command]
    if commands and not form.HOLDS.commands:
        message = f"{name} cannot hold shell commands: {first_ids(commands)}"
        raise DataError(message, path / "wav.scp", None, remedy)


def _say_what_is_left(tables: SetTables) -> None:
    """Log what is not exported: tables not by utterance, and recordings that no utterance needs."""
    others = [name for name in tables.recordings if name not in ("wav.scp", CHANNELS)]
    for name in (*others, *tables.speakers):
        log.warning("%s: not exported: records are of utterances", tables.path / name)
    if "segments" in tables.utterances:
        used = {tables.recording_of(utt) for utt in tables.ids}
        if idle := sorted(tables.recordings["wav.scp"].keys() - used):
            what = "recordings without a segment"
            log.warning("%s: not exported: %s: %s", tables.path, what, first_ids(idle))
