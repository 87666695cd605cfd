"""lhotse manifests: recordings and supervisions, JSON lines side by side in one folder.

Written as lhotse 1.x writes them, and read without it. What lhotse's own fields would not bring
back stands in a supervision's `custom`, under the names of a record's fields.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from speechllm.data.columns import Columns
from speechllm.data.formats import Holds
from speechllm.data.kaldi import Audio
from speechllm.data.lines import json_line, read_json_lines, whole_text
from speechllm.data.records import Record, correct, not_derived, seconds
from speechllm.errors import DataError
from speechllm.progress import track

SUMMARY = "lhotse: a folder with recordings and supervisions, .jsonl or .jsonl.gz"
HOLDS = Holds(cuts=True, commands=True, text_only=False)
FOLDER = True
RECORDINGS, SUPERVISIONS = "recordings.jsonl.gz", "supervisions.jsonl.gz"
TIMES = ("recording", "start", "end", "duration")
THREADS = 4  # reading headers waits for the filesystem, not for the processor


class Recording(NamedTuple):
    """What a line of the recordings says; `source` is as in wav.scp."""

    source: str
    duration: Decimal
    channels: list[int]


def read(path: Path, *, keep: Sequence[str] = ()) -> Iterator[Record]:
    """Read a folder with one file of each kind, or a file of supervisions that has its recordings
    beside it under the same name.

    Args:
        keep: further keys of supervisions, or of their `custom`, to become tables.
    """
    supervisions, recordings_file = _files(path)
    recordings = _read_recordings(recordings_file)
    taken = Columns(supervisions, {}, keep)
    for line, row in read_json_lines(supervisions):
        try:
            custom = dict(row.pop("custom", None) or {})
            name, channel = str(row.pop("recording_id")), row.pop("channel", 0)
            times = seconds(row.pop("start")), seconds(row.pop("duration"))
            channels = set(channel if isinstance(channel, list) else [channel])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a supervision: {error}", supervisions, line) from error
        if name not in recordings:
            message = f"recording {name} is not in {recordings_file}"
            raise DataError(message, supervisions, line)
        recording = recordings[name]
        if channels != set(recording.channels):
            count = len(recording.channels)
            message = f"channel {channel} of {count}: a data dir knows no channels"
            raise DataError(message, supervisions, line, "write each channel to a file first")
        own = {k: v for k, v in {**row, **custom}.items() if k not in TIMES}
        own |= _times(row.get("id", ""), name, recording, *times)
        more = {k: v for k, v in custom.items() if k in TIMES}
        yield correct(taken.record(own, line), more)
    taken.finish()


def _times(
    utt: str, name: str, recording: Recording, start: Decimal, duration: Decimal
) -> dict[str, Any]:
    """Fields that lhotse's own times mean; only a recording under its own name is not a cut."""
    fields: dict[str, Any] = {"audio": recording.source, "duration": duration}
    if utt == name and start == 0 and duration == recording.duration:
        return fields
    return fields | {"recording": name, "start": start, "end": start + duration}


def _files(path: Path) -> tuple[Path, Path]:
    """Return the files of supervisions and recordings."""
    if path.is_dir():
        found = [sorted(path.glob(f"*{kind}*.jsonl*")) for kind in ("supervisions", "recordings")]
        if [len(files) for files in found] == [1, 1]:
            return found[0][0], found[1][0]
        message = f"{len(found[0])} files of supervisions and {len(found[1])} of recordings"
        raise DataError(message, path, remedy="name the file of supervisions instead of the folder")
    if "supervisions" not in path.name:
        raise DataError("a file *supervisions*.jsonl is needed, or a folder with one", path)
    return path, path.with_name(path.name.replace("supervisions", "recordings"))


def _read_recordings(path: Path) -> dict[str, Recording]:
    recordings: dict[str, Recording] = {}
    for line, row in read_json_lines(path):
        try:
            name, (source,) = str(row["id"]), row["sources"]
            if row.get("transforms") or source["type"] not in ("file", "command"):
                raise ValueError("only whole files and commands can be taken, without transforms")
            where = str(source["source"]) + ("|" if source["type"] == "command" else "")
            recording = Recording(where, seconds(row["duration"]), list(source["channels"]))
        except (KeyError, TypeError, ValueError) as error:
            message = f"not a recording with one source: {error}"
            raise DataError(message, path, line) from error
        if name in recordings:
            raise DataError(f"recording {name} stands in an earlier line too", path, line)
        recordings[name] = recording
    return recordings


def write(records: Collection[Record], path: Path, *, allow_pipes: bool = False) -> None:
    """Write a folder; the headers of all audio files are read, since lhotse wants their sizes.

    Args:
        allow_pipes: run the commands among the records' audio, to know how long it is.

    Raises:
        AudioError: audio cannot be read, or a command is not allowed or fails.
    """
    sources = {record.recording or record.id: record.audio or "" for record in records}
    recordings: dict[str, Recording] = {}
    with whole_text(path / RECORDINGS) as stream:
        for name, row in _recording_rows(sources, path, allow_pipes):
            (source,) = row["sources"]
            recordings[name] = Recording(
                sources[name], seconds(row["duration"]), source["channels"]
            )
            stream.write(json_line(row))
    with whole_text(path / SUPERVISIONS) as stream:
        for record in records:
            recording = recordings[record.recording or record.id]
            stream.write(json_line(_supervision(record, recording)))


def _recording_rows(
    sources: Mapping[str, str], folder: Path, allow_pipes: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    from speechllm.data.audio import read_header

    def row(name: str) -> tuple[str, dict[str, Any]]:
        source = sources[name]
        is_command = source.endswith("|")
        file = source if is_command else os.path.join(folder, source)
        header = read_header(Audio(file, recording=name), allow_pipes)
        samples = round(header.seconds * header.sample_rate)
        channels = list(range(header.channels))
        kind = "command" if is_command else "file"
        return name, {
            "id": name,
            "sources": [{"type": kind, "channels": channels, "source": source.removesuffix("|")}],
            "sampling_rate": header.sample_rate,
            "num_samples": samples,
            "duration": samples / header.sample_rate,
            "channel_ids": channels,
        }

    with ThreadPoolExecutor(THREADS) as pool:
        yield from track(pool.map(row, sources), "reading audio headers", len(sources), "recording")


def _supervision(record: Record, recording: Recording) -> dict[str, Any]:
    name = record.recording or record.id
    start = record.start or Decimal(0)
    # lhotse refuses a supervision beyond its recording; a segment may end a little behind it.
    end = recording.duration if record.end is None else min(record.end, recording.duration)
    channels = recording.channels
    row = {
        "id": record.id,
        "recording_id": name,
        "start": start,
        "duration": end - start,
        "channel": channels[0] if len(channels) == 1 else channels,
        "text": record.text,
    }
    if record.speaker is not None:
        row["speaker"] = record.speaker
    times = _times(record.id, name, recording, start, end - start)
    as_read = Record(record.id, record.text, speaker=record.speaker, **times)
    custom = not_derived(record, as_read)
    return row | ({"custom": custom} if custom else {})
