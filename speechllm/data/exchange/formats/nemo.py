"""NeMo manifests: JSON lines of `audio_filepath`, `duration`, `text`, `offset` for cuts, and
`channel_selector`.

NeMo passes further keys through: `id`, `speaker` and what its own keys cannot hold, under the names
of a record's fields. `utt2dur` is the record's duration where it differs from NeMo's `duration`,
which is the length of the cut.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechllm.data.dirs.records import CHANNEL, Record, correct, not_derived, seconds
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds
from speechllm.data.exchange.lines import json_line, read_json_lines, whole_text
from speechllm.data.exchange.record_audio import length_of
from speechllm.errors import DataError
from speechllm.files.progress import track

SUMMARY = "NeMo manifest: JSON lines of audio_filepath, duration, text, offset"
HOLDS = Holds(cuts=True, commands=False, text_only=True)
FOLDER = False
SELECTOR = "channel_selector"
KEYS = {"audio": "audio_filepath", CHANNEL: SELECTOR}
UTT2DUR = "utt2dur"  # `duration` is NeMo's own
TIMES = ("offset", "start", "end", UTT2DUR)


def read(path: Path, *, keep: Sequence[str] = ()) -> Iterator[Record]:
    """Read a manifest; the keys `keep` become tables."""
    taken = Columns(path, KEYS, keep, must_occur=False)
    for line, row in read_json_lines(path):
        own = {name: value for name, value in row.items() if name not in TIMES}
        own[SELECTOR] = _channel(row.get(SELECTOR), path, line)
        record = _with_times(taken.record(own, line), row.get("offset"))
        more = {name: row[name] for name in ("start", "end") if name in row}
        if UTT2DUR in row:
            more["duration"] = row[UTT2DUR]
        yield correct(record, more)
    taken.finish()


def _channel(selector: object, path: Path, line: int) -> int | None:
    """Channel that a selector means; None is the mean of all."""
    if isinstance(selector, list) and len(selector) == 1:
        selector = selector[0]
    if selector in (None, "average"):
        return None
    if isinstance(selector, int) and not isinstance(selector, bool) and selector >= 0:
        return selector
    message = f"{SELECTOR} is neither a channel nor 'average': {selector!r}"
    raise DataError(
        message, path, line, "name one channel by its number, from 0; write a line for each"
    )


def _with_times(record: Record, offset: object) -> Record:
    """Record as a cut of its file, if there is an offset."""
    if offset is None:
        return record
    try:
        start = seconds(offset)
    except ValueError as error:
        raise DataError(f"offset: {error}", record.file, record.line) from error
    end = None if record.duration is None else start + record.duration
    return replace(record, start=start, end=end)


def write(records: Collection[Record], path: Path) -> None:
    """Write a manifest; lengths that records lack are read from the headers of their audio.

    Raises:
        AudioError: such audio cannot be read.
    """
    with whole_text(path) as stream:
        for record in track(records, f"writing {path.name}", len(records)):
            stream.write(json_line(_row(record, path.parent)))


def _row(record: Record, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"id": record.id}
    if record.audio is not None:
        row["audio_filepath"] = record.audio
        if record.start is not None:
            row["offset"] = record.start
        row["duration"] = length_of(record, folder)
        if record.channel is not None:
            row[SELECTOR] = record.channel
    row["text"] = record.text
    if record.speaker is not None:
        row["speaker"] = record.speaker
    as_read = Record(
        record.id,
        record.text,
        record.audio,
        record.channel,
        speaker=record.speaker,
        duration=row.get("duration"),
    )
    more = not_derived(record, _with_times(as_read, row.get("offset")))
    if "duration" in more:
        more[UTT2DUR] = more.pop("duration")
    return row | more
