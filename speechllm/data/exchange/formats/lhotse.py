"""lhotse manifests: recordings and supervisions, JSON lines side by side in one folder; or cuts.

Files are written as lhotse 1.x writes them; lhotse itself is not needed. In cuts, each supervision
is an utterance. What lhotse's own fields cannot hold stands in a supervision's `custom`, under the
names of a record's fields.
"""

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.dirs.records import CHANNEL, Record, correct, not_derived, seconds
from speechllm.data.dirs.tables import first_ids
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds
from speechllm.data.exchange.lines import json_line, read_json_lines, whole_text
from speechllm.errors import DataError, shortened
from speechllm.files.progress import track

log = logging.getLogger(__name__)
SUMMARY = "lhotse: a folder with recordings and supervisions, or cuts, .jsonl or .jsonl.gz"
HOLDS = Holds(cuts=True, commands=True, text_only=False)
FOLDER = True
RECORDINGS, SUPERVISIONS = "recordings.jsonl.gz", "supervisions.jsonl.gz"
TIMES = ("recording", "start", "end", "duration")
CUTS = ("MonoCut", "MultiCut")  # parts of one recording
SAVE_AUDIOS = (
    'python -c "from lhotse import CutSet; '
    "CutSet.from_file('{}').save_audios('cut_audio').to_file('saved_cuts.jsonl.gz')\""
)
"""Command that makes whole recordings of mixed, padded and speed-perturbed cuts."""
THREADS = 4  # reading headers waits for the filesystem, not for the processor


class CutRecording(NamedTuple):
    """Recording of a manifest; `source` is as in wav.scp."""

    source: str
    duration: Decimal
    channels: list[int]


NONE = CutRecording("", Decimal(0), [])
Row = tuple[int, dict[str, Any], CutRecording]


def read(path: Path, *, keep: Sequence[str] = ()) -> Iterator[Record]:
    """Read a folder or a file.

    Args:
        path: a folder with one file of supervisions and one of recordings, or one of cuts; a file
            of supervisions, whose recordings lie beside it under the same name; or a file of cuts.
        keep: further keys of supervisions, or of their `custom`, which become tables.

    Raises:
        DataError: such files are not there; or with the line, something that is no supervision,
            cut or recording, or channels that are neither one nor all of a recording's.
    """
    supervisions, recordings_file = _files(path)
    taken = Columns(supervisions, {}, keep)
    if recordings_file is None:
        rows = _of_cuts(supervisions)
    else:
        rows = _of_recordings(supervisions, recordings_file)
    for line, row, recording in rows:
        try:
            custom = dict(row.pop("custom", None) or {})
            name, channel = str(row.pop("recording_id")), row.pop("channel", 0)
            times = seconds(row.pop("start")), seconds(row.pop("duration"))
            channels = {int(c) for c in (channel if isinstance(channel, list) else [channel])}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a supervision: {error}", supervisions, line) from error
        which = _channel(channels, recording.channels)
        if which is None and channels != set(recording.channels):
            message = f"channel {channel} of {recording.channels}: neither one of them nor all"
            raise DataError(message, supervisions, line, "write a supervision for each channel")
        own = {k: v for k, v in {**row, **custom}.items() if k not in TIMES}
        own[CHANNEL] = which
        own |= _times(row.get("id", ""), name, recording, *times)
        more = {k: v for k, v in custom.items() if k in TIMES}
        if isinstance(custom.get(CHANNEL), int):
            more[CHANNEL] = custom[CHANNEL]
        yield correct(taken.record(own, line), more)
    taken.finish()


def _of_recordings(supervisions: Path, recordings_file: Path) -> Iterator[Row]:
    """Supervisions with their recordings."""
    recordings = _read_recordings(recordings_file)
    for line, row in read_json_lines(supervisions):
        name = str(row.get("recording_id"))
        if "recording_id" in row and name not in recordings:
            message = f"recording {name} is not in {recordings_file}"
            raise DataError(message, supervisions, line)
        yield line, row, recordings.get(name, NONE)


def _of_cuts(path: Path) -> Iterator[Row]:
    """Supervisions of cuts, with times in the recording; cuts without any are logged."""
    silent: list[str] = []
    for line, cut in read_json_lines(path):
        name = shortened(str(cut.get("id")))
        if cut.get("type") not in CUTS:
            message = f"{cut.get('type')} {name} is no part of one recording"
            raise DataError(message, path, line, SAVE_AUDIOS.format(path))
        if not isinstance(cut.get("recording"), dict):
            message = f"the cut {name} has no recording, only features"
            remedy = "make cuts of recordings: lhotse cut simple -r RECORDINGS -s SUPERVISIONS CUTS"
            raise DataError(message, path, line, remedy)
        of, recording = _recording(cut["recording"], path, line, SAVE_AUDIOS.format(path))
        try:
            rows = [
                {
                    **supervision,
                    "recording_id": of,
                    "channel": cut["channel"],
                    "start": seconds(cut["start"]) + seconds(supervision["start"]),
                }
                for supervision in cut.get("supervisions") or ()
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a cut with supervisions: {error}", path, line) from error
        if not rows:
            silent.append(name)
        for row in rows:
            yield line, row, recording
    if silent:
        log.warning("%s: cuts without supervision are not taken: %s", path, first_ids(silent))


def _channel(wanted: set[Any], channels: list[int]) -> int | None:
    """Index in the file of the one channel wanted of several; None if it is not just one."""
    (*_, only) = wanted or (None,)
    return channels.index(only) if len(wanted) == 1 < len(channels) and only in channels else None


def _times(
    utt: str, name: str, recording: CutRecording, start: Decimal, duration: Decimal
) -> dict[str, Any]:
    """Fields of a record by lhotse's times; only an utterance that is a whole recording of the
    same name is not a cut.
    """
    fields: dict[str, Any] = {"audio": recording.source, "duration": duration}
    if utt == name and start == 0 and duration == recording.duration:
        return fields
    return fields | {"recording": name, "start": start, "end": start + duration}


def _files(path: Path) -> tuple[Path, Path | None]:
    """Return the files of supervisions and recordings, or that of cuts and None."""
    if path.is_dir():
        cuts = sorted(path.glob("*cuts*.jsonl*")) or sorted(path.glob("*.jsonl*"))
        found = [sorted(path.glob(f"*{kind}*.jsonl*")) for kind in ("supervisions", "recordings")]
        if [len(files) for files in found] == [1, 1]:
            return found[0][0], found[1][0]
        if len(cuts) == 1 and _holds_cuts(cuts[0]):
            return cuts[0], None
        message = f"{len(found[0])} files of supervisions and {len(found[1])} of recordings"
        remedy = "name the file of supervisions, or of cuts, instead of the folder"
        raise DataError(message, path, remedy=remedy)
    if _holds_cuts(path):
        return path, None
    if "supervisions" not in path.name:
        message = "a file *supervisions*.jsonl or one of cuts is needed, or a folder with one"
        raise DataError(message, path)
    return path, path.with_name(path.name.replace("supervisions", "recordings"))


def _holds_cuts(path: Path) -> bool:
    """Whether the first line is a cut of any kind."""
    _, row = next(read_json_lines(path), (0, {}))
    return str(row.get("type")).endswith("Cut")


def _recording(
    row: dict[str, Any], path: Path, line: int, remedy: str | None = None
) -> tuple[str, CutRecording]:
    try:
        name, (source,) = str(row["id"]), row["sources"]
        if row.get("transforms") or source["type"] not in ("file", "command"):
            raise ValueError("only whole files and commands can be taken, without transforms")
        where = str(source["source"]) + ("|" if source["type"] == "command" else "")
        channels = [int(channel) for channel in source["channels"]]
        return name, CutRecording(where, seconds(row["duration"]), channels)
    except (KeyError, TypeError, ValueError) as error:
        message = f"not a recording with one source: {error}"
        raise DataError(message, path, line, remedy) from error


def _read_recordings(path: Path) -> dict[str, CutRecording]:
    recordings: dict[str, CutRecording] = {}
    for line, row in read_json_lines(path):
        name, recording = _recording(row, path, line)
        if name in recordings:
            raise DataError(f"recording {name} stands in an earlier line too", path, line)
        recordings[name] = recording
    return recordings


def write(records: Collection[Record], path: Path, *, allow_pipes: bool = False) -> None:
    """Write a folder; the headers of all audio files are read, since lhotse wants their sizes.

    Args:
        records: utterances with audio.
        path: the folder.
        allow_pipes: run the commands among the records' audio, to know how long it is.

    Raises:
        AudioError: audio cannot be read, or a command is not allowed or fails.
    """
    sources = {record.recording or record.id: record.audio or "" for record in records}
    recordings: dict[str, CutRecording] = {}
    with whole_text(path / RECORDINGS) as stream:
        for name, row in _recording_rows(sources, path, allow_pipes):
            (source,) = row["sources"]
            recordings[name] = CutRecording(
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
    from speechllm.data.speech.audio import read_header

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


def _supervision(record: Record, recording: CutRecording) -> dict[str, Any]:
    name = record.recording or record.id
    start = record.start or Decimal(0)
    # lhotse refuses a supervision beyond its recording; a segment may end a little behind it.
    end = recording.duration if record.end is None else min(record.end, recording.duration)
    channels = recording.channels if record.channel is None else [record.channel]
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
    times[CHANNEL] = _channel(set(channels), recording.channels)
    as_read = Record(record.id, record.text, speaker=record.speaker, **times)
    custom = not_derived(record, as_read)
    return row | ({"custom": custom} if custom else {})
