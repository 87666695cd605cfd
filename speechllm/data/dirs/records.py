"""Records: all that a data dir knows of one utterance. Every format of `data.exchange.formats`
reads and writes records.

The fields of a record (columns of a table, keys of a JSON object) are named like its attributes;
the value in another per-utterance table is the field `tables.<name>`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import Any

from speechllm.data.dirs.kaldi import MOST_SECONDS, parse_channel, parse_entities
from speechllm.errors import DataError, shown
from speechllm.files.strict_json import HALF_CHARACTER

NUMBERS = ("start", "end", "duration")
STRINGS = ("audio", "recording", "speaker")
CHANNEL = "channel"
FIELDS = ("id", "audio", "text", "speaker", "duration", "recording", "start", "end", CHANNEL)
FIELDS += ("entities",)
TABLE = "tables."
Fields = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """One utterance.

    Times are decimals, so that they come back as they were written.

    Attributes:
        id: empty when the source has none; `import_set` then makes one.
        text: the transcript.
        audio: a path, or a command that ends in `|`; None without audio.
        channel: channel of the audio, from 0; None is the mean of all channels.
        content: the audio file itself, for formats that hold it.
        recording: id of the recording that is cut; None when the utterance is a whole recording.
        start, end: seconds; a start of None: not cut; an end of None: the recording's end.
        speaker: None where it is not known.
        duration: seconds, as in `utt2dur`.
        entities: as in the table `entities`; None without.
        tables: values in the set's other per-utterance tables, by table.
        file, line: where the record was read, for messages; the line is 1-based.
    """

    id: str
    text: str
    audio: str | None = None
    channel: int | None = None
    content: bytes | None = None
    recording: str | None = None
    start: Decimal | None = None
    end: Decimal | None = None
    speaker: str | None = None
    duration: Decimal | None = None
    entities: list[dict[str, Any]] | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    @property
    def is_command(self) -> bool:
        return self.audio is not None and self.audio.endswith("|")


def to_fields(record: Record) -> Fields:
    """Return the fields of a record that are set, times as decimals."""
    fields = {name: getattr(record, name) for name in FIELDS}
    fields |= {TABLE + name: value for name, value in record.tables.items()}
    return {name: value for name, value in fields.items() if value is not None}


def from_fields(
    fields: Mapping[str, Any], path: Path | None = None, line: int | None = None
) -> Record:
    """Make a record of fields; None and the empty string are no value, unknown names are ignored.

    Args:
        fields: field -> value; may hold numbers as strings, and entities as JSON.
        path: the file that was read, for messages.
        line: 1-based line in it.

    Raises:
        DataError: there is no text, or a value has the wrong type.
    """
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    values: Fields = {}
    try:
        values["text"] = _string("text", given.get("text", ""))
        if not values["text"]:
            raise ValueError("there is no text, or it is empty")
        values["id"] = _name("id", given.get("id", ""))
        values |= {name: _name(name, given[name]) for name in STRINGS if name in given}
        values |= {name: seconds(given[name]) for name in NUMBERS if name in given}
        if CHANNEL in given:
            values[CHANNEL] = parse_channel(str(given[CHANNEL]))
        if "entities" in given:
            listed = given["entities"]
            values["entities"] = parse_entities(
                listed if isinstance(listed, str) else json.dumps(listed)
            )
        tables = {k.removeprefix(TABLE): v for k, v in fields.items() if k.startswith(TABLE)}
        values["tables"] = {k: _string(k, v) for k, v in tables.items() if v is not None}
    except ValueError as error:
        raise DataError(str(error), path, line) from error
    return Record(**values, file=path, line=line)


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string: {shown(value)}")
    if half := HALF_CHARACTER.search(value):
        raise ValueError(f"{name} holds half a character: \\u{ord(half[0]):04x}")
    return value.strip()


def _name(what: str, value: object) -> str:
    # Some corpora number their utterances and speakers.
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number else _string(what, value)


def seconds(value: object) -> Decimal:
    """Return a time as the decimal that it was written as.

    Raises:
        ValueError: not a number, or one that is too large for a time.
    """
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError) as error:  # ValueError: an int of 4,300 digits
        raise ValueError(f"not a number of seconds: {shown(value)}") from error
    # Exponents first: arithmetic with a large one overflows.
    if not number.is_finite() or number.adjusted() > 9 or number.as_tuple().exponent < -50:
        raise ValueError(f"not a number of seconds: {shown(value)}")
    if abs(number) > MOST_SECONDS:
        raise ValueError(f"not a number of seconds: {shown(value)}")
    return number


def format_seconds(value: Decimal) -> str:
    """Write a time as `kaldi.write_data_dir` does, but with as many digits as it has."""
    digits = max(4, -int(value.normalize().as_tuple().exponent))
    return f"{value:.{digits}f}"


def cut_name(audio: str, start: Decimal, end: Decimal | None) -> str:
    """Name a cut after its file and its hundredths of a second: `a` -> `a-0000125-0000310`.

    Args:
        audio: path of the file.
        start: seconds.
        end: seconds; None is the end of the file, and is left out of the name.
    """
    times = [f"-{int(time * 100):07d}" for time in (start, end) if time is not None]
    return file_name(audio) + "".join(times)


def file_name(audio: str | None) -> str:
    """Name an utterance or a recording after its file; "" for a command and for no audio."""
    return "" if audio is None or audio.endswith("|") else PurePath(audio).stem


def not_derived(record: Record, as_read: Record) -> Fields:
    """Fields of a record that cannot be read back from a format's own fields.

    A format writes them beside its own fields, so that reading gives an equal record.

    Args:
        record: the record to write.
        as_read: the record that the format's own fields alone would give.

    Returns:
        Field -> value; None for a field of `as_read` that the record does not have.
    """
    right, wrong = to_fields(record), to_fields(as_read)
    names = [name for name in {**right, **wrong} if right.get(name) != wrong.get(name)]
    return {name: right.get(name) for name in names}


def correct(record: Record, fields: Mapping[str, Any]) -> Record:
    """Correct a record read from a format's own fields by the fields that `not_derived` gave."""
    known = {k: v for k, v in fields.items() if k in FIELDS or k.startswith(TABLE)}
    if not known:
        return record
    corrected = from_fields({**to_fields(record), **known}, record.file, record.line)
    return replace(corrected, content=record.content)
