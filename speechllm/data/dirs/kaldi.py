"""Kaldi data dirs: `wav.scp`, `segments`, `text`, `utt2spk`, `spk2utt`, `utt2dur`; and, beyond
Kaldi, `reco2channel`, `entities` and bias lists (`speechllm.data.dirs.bias_lists`).

A set without `wav.scp` is a text-only set.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import Any

from speechllm.data.dirs.bias_lists import BiasLists, read_bias_lists
from speechllm.data.dirs.tables import (
    ADD_RECORDINGS,
    CHANNELS,
    NO_DATA_DIR,
    NO_RECORDINGS,
    NO_TEXT,
    TABLES,
    first_ids,
    read_table,
    share_keys,
    write_table,
)
from speechllm.errors import DataError, shell_word
from speechllm.files.garbage import uncollected
from speechllm.files.strict_json import load_json

__all__ = [
    "TABLES",
    "Audio",
    "DataDir",
    "first_ids",
    "parse_channel",
    "parse_duration",
    "parse_entities",
    "parse_segment",
    "parsed_table",
    "read_table",
    "spk2utt_of",
    "whole_recordings",
    "write_data_dir",
    "write_table",
]

MOST_SECONDS = 1e9
"""Largest time, some thirty years; a larger one is a mistake."""


def parse_segment(value: str) -> tuple[str, float, float | None]:
    """Parse `recording start end`, in seconds; an end of -1 means the end of the recording.

    Raises:
        ValueError: not three fields, not numbers, start < 0 or end <= start.
    """
    fields = value.split()
    if len(fields) != 3:
        raise ValueError("segment is not `utterance recording start end`")
    start, end = float(fields[1]), float(fields[2])
    if not (0 <= start <= MOST_SECONDS and -1 <= end <= MOST_SECONDS):
        raise ValueError("segment's times are not numbers >= 0")
    if end == -1:
        return fields[0], start, None
    if end <= start:
        raise ValueError("segment ends before it starts")
    return fields[0], start, end


def parse_entities(value: str) -> list[dict[str, Any]]:
    """Parse a JSON list of `{"type": ..., "text": ...}`.

    Raises:
        ValueError: anything else.
    """
    entities = load_json(value)
    good = isinstance(entities, list) and all(
        isinstance(e, dict) and isinstance(e.get("type"), str) and isinstance(e.get("text"), str)
        for e in entities
    )
    if not good:
        raise ValueError('entities are not a list of {"type": ..., "text": ...}')
    return entities


def parse_duration(value: str) -> float:
    """Parse seconds > 0.

    Raises:
        ValueError: anything else.
    """
    seconds = float(value)
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError("duration is not a number > 0")
    return seconds


def parse_channel(value: str) -> int:
    """Parse the number of a channel, counted from 0.

    Raises:
        ValueError: anything else.
    """
    if not re.fullmatch("[0-9]{1,4}", value):
        raise ValueError("channel is not a number from 0")
    return int(value)


def spk2utt_of(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Turn utterance -> speaker into speaker -> "utterance utterance ...", sorted."""
    speakers: dict[str, list[str]] = {}
    for utt in sorted(utt2spk):
        speakers.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: " ".join(utts) for speaker, utts in speakers.items()}


@dataclass(frozen=True, slots=True)
class Audio:
    """Place of an utterance's samples.

    Attributes:
        source: a path, or a shell command that ends in `|`.
        start, end: the cut in seconds; None is the recording's beginning or end.
        recording: the key of the `wav.scp` line, for messages.
        channel: the channel to take, counted from 0; None is the mean of all.
    """

    source: str
    start: float | None = None
    end: float | None = None
    recording: str = ""
    channel: int | None = None

    @property
    def is_pipe(self) -> bool:
        return self.source.endswith("|")

    def cut(self, start: float | None, end: float | None) -> "Audio":
        """Part of a recording, in seconds."""
        return Audio(self.source, start, end, self.recording, self.channel)

    def __str__(self) -> str:
        return f"{self.recording} {self.source}".strip()


@dataclass
class DataDir:
    """One set: what is said, where the samples are, who speaks.

    Attributes:
        path: the folder.
        name: the folder's name.
        ids: the utterances of `text`, sorted.
        text: utterance -> transcript.
        audio: empty for a text-only set, else one entry for every id.
        utt2spk: utterance -> speaker; empty when the file is missing.
        utt2dur: utterance -> seconds; empty when the file is missing.
        entities: utterance -> list of `{"type": ..., "text": ...}`; only annotated utterances.
        samples: hash of the audio files' contents; None until features that record it are opened.
    """

    path: Path
    name: str
    ids: list[str]
    text: dict[str, str]
    audio: dict[str, Audio] = field(default_factory=dict)
    utt2spk: dict[str, str] = field(default_factory=dict)
    utt2dur: dict[str, float] = field(default_factory=dict)
    entities: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    samples: str | None = None

    @property
    def has_audio(self) -> bool:
        return bool(self.audio)

    @cached_property
    def bias_lists(self) -> BiasLists:
        """Bias lists: words and phrases that are likely to be said; read when asked for.

        Raises:
            DataError: a list is malformed.
        """
        return read_bias_lists(self.path, self.ids)

    @classmethod
    @uncollected()
    def load(cls, path: str | Path, with_text: bool = True) -> "DataDir":
        """Read a data dir; audio files are not opened.

        Args:
            path: the data dir.
            with_text: False never opens `text` and `entities`: every utterance of `wav.scp` then
                has an empty transcript.

        Raises:
            DataError: a missing or malformed table, or tables that do not fit together.
        """
        path = Path(path)
        text = _read_text(path) if with_text else dict.fromkeys(sorted(_read_audio(path)), "")
        data = cls(path, path.name, list(text), text)
        if (path / "wav.scp").is_file():
            data.audio = share_keys(_read_audio(path), text)
            data._check_same_ids("text without audio", set(text) - data.audio.keys())
            data._check_same_ids("audio without text", data.audio.keys() - set(text))
        elif (path / "segments").is_file():
            raise DataError(NO_RECORDINGS, path / "segments", remedy=ADD_RECORDINGS)
        if (path / "utt2spk").is_file():
            spoken = {utt: intern(spk) for utt, spk in read_table(path / "utt2spk").items()}
            data.utt2spk = share_keys(spoken, text)
            data._check_same_ids("no speaker in utt2spk", set(text) - data.utt2spk.keys())
        if (path / "utt2dur").is_file():
            data.utt2dur = share_keys(parsed_table(path / "utt2dur", parse_duration), text)
            data._check_same_ids("no duration in utt2dur", set(text) - data.utt2dur.keys())
        if with_text and (path / "entities").is_file():
            data.entities = parsed_table(path / "entities", parse_entities)
            data._check_same_ids("entities without text", data.entities.keys() - set(text))
        return data

    def _check_same_ids(self, what: str, odd: set[str]) -> None:
        if odd:
            message = f"{what}: {first_ids(sorted(odd))}"
            raise DataError(
                message, self.path, remedy=f"speechllm data fix {shell_word(self.path)}"
            )


def _read_text(path: Path) -> dict[str, str]:
    if not path.is_dir():
        raise DataError("no such data dir", path, remedy=NO_DATA_DIR)
    if not (path / "text").is_file():
        raise DataError("no such file", path / "text", remedy=NO_TEXT)
    text = read_table(path / "text")
    if not text:
        raise DataError("file is empty", path / "text", remedy=NO_TEXT)
    return text


def _read_audio(path: Path) -> dict[str, Audio]:
    """Join `wav.scp` with `reco2channel` and `segments`, where they exist."""
    if not (path / "wav.scp").is_file():
        raise DataError("this set has no audio, and it is needed", path)
    wav = read_table(path / "wav.scp")
    channels = parsed_table(path / CHANNELS, parse_channel) if (path / CHANNELS).is_file() else {}
    whole = whole_recordings(wav, channels)
    if not (path / "segments").is_file():
        return whole
    audio = {}
    for utt, (rec, start, end) in parsed_table(path / "segments", parse_segment).items():
        if rec not in wav:
            message = f"recording {rec} of segment {utt} is not in wav.scp"
            raise DataError(
                message, path / "segments", remedy=f"speechllm data fix {shell_word(path)}"
            )
        audio[utt] = whole[rec].cut(start, end)
    return audio


def whole_recordings(wav: Mapping[str, str], channels: Mapping[str, int]) -> dict[str, Audio]:
    """Uncut recordings of `wav.scp`, with their channels of `reco2channel`."""
    return {rec: Audio(source, None, None, rec, channels.get(rec)) for rec, source in wav.items()}


def parsed_table(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Read a table and parse its values.

    Raises:
        DataError: as `read_table`; or `parse` raises ValueError, then with the line.
    """
    parsed = {}
    # read_table refuses empty lines, so the n-th entry stands on line n.
    for line, (key, value) in enumerate(read_table(path).items(), 1):
        try:
            parsed[key] = parse(value)
        except ValueError as error:
            raise DataError(f"{key}: {error}", path, line, "mend or delete the line") from error
    return parsed


def write_data_dir(
    path: str | Path,
    *,
    text: Mapping[str, str],
    wav: Mapping[str, str] | None = None,
    channels: Mapping[str, int] | None = None,
    segments: Mapping[str, tuple[str, float, float | None]] | None = None,
    utt2spk: Mapping[str, str] | None = None,
    utt2dur: Mapping[str, float] | None = None,
    entities: Mapping[str, list[dict[str, Any]]] | None = None,
) -> None:
    """Write all tables of a set, sorted, each whole; tables not given are removed.

    Args:
        path: the data dir.
        text: utterance -> transcript.
        wav: recording (or utterance, without `segments`) -> path or command.
        channels: recording -> channel to take, from 0; without an entry, the mean of all.
        segments: utterance -> (recording, start, end), seconds; an end of None is the last sample.
        utt2spk: utterance -> speaker; by default each utterance of an audio set is its own.
        utt2dur: utterance -> seconds.
        entities: utterance -> list of `{"type": ..., "text": ...}`.

    Raises:
        DataError: an id or a value that a table cannot hold.
    """
    path = Path(path)
    if wav is not None and utt2spk is None:
        utt2spk = {utt: utt for utt in text}
    tables: dict[str, Mapping[str, str] | None] = {
        "text": text,
        "wav.scp": wav,
        CHANNELS: channels and {rec: str(channel) for rec, channel in channels.items()},
        "segments": segments
        and {
            utt: f"{rec} {start:.4f} {-1 if end is None else f'{end:.4f}'}"
            for utt, (rec, start, end) in segments.items()
        },
        "utt2spk": utt2spk,
        "spk2utt": utt2spk and spk2utt_of(utt2spk),
        "utt2dur": utt2dur and {utt: f"{seconds:.4f}" for utt, seconds in utt2dur.items()},
        "entities": entities
        and {utt: json.dumps(value, ensure_ascii=False) for utt, value in entities.items()},
    }
    for name, table in tables.items():
        if table:
            write_table(path / name, table)
        else:
            (path / name).unlink(missing_ok=True)
