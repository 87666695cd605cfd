"""Audio of records: its length, and copies of utterances as files of their own."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.dirs.records import Record, seconds
from speechllm.data.speech.audio import audio_duration, copy_utterance
from speechllm.errors import DataError
from speechllm.files.progress import track


def length_of(record: Record, folder: Path) -> Decimal:
    """Return an utterance's length in seconds: that of the cut, else the duration that is known,
    else that of the audio, by its header.

    Args:
        record: the utterance.
        folder: folder where a relative path starts.

    Raises:
        AudioError: the audio cannot be read.
        DataError: no length is known, and there is no audio.
    """
    if record.start is not None and record.end is not None:
        return record.end - record.start
    if record.duration is not None:
        return record.duration
    return seconds(
        audio_duration(replace(_audio(record), source=str(folder / (record.audio or ""))))
    )


def copy_utterances(records: Collection[Record], folder: Path, allow_pipes: bool) -> dict[str, str]:
    """Write each utterance's samples to a file of its own, `<folder>/<id>.flac` (or `.wav`).

    Args:
        records: utterances with audio.
        folder: folder of the files.
        allow_pipes: run commands that write audio.

    Returns:
        Utterance -> path.

    Raises:
        AudioError: the audio cannot be read, or is a command and `allow_pipes` is false.
        DataError: a record has no audio.
    """
    shown = track(records, f"writing audio to {folder}", len(records))
    return {r.id: str(copy_utterance(_audio(r), folder / r.id, allow_pipes)) for r in shown}


def _audio(record: Record) -> Audio:
    if record.audio is None:
        raise DataError(f"{record.id} has no audio")
    start, end = (None if time is None else float(time) for time in (record.start, record.end))
    return Audio(record.audio, start, end, record.recording or record.id, record.channel)
