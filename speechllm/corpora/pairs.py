"""Audio and transcripts in a table of named columns: .csv, .tsv or JSON lines (.jsonl)."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from speechllm.corpora.reading.lines import read_cells
from speechllm.corpora.reading.utterances import Utterance
from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.kaldi import Audio, parse_channel
from speechllm.data.exchange.lines import read_json_lines
from speechllm.errors import DataError, did_you_mean

SUFFIXES = (".csv", ".tsv", ".jsonl")


class PairColumns(NamedTuple):
    """Names of a table's columns; empty where the table has none.

    Attributes:
        text: the transcript.
        audio: an audio file, whose path starts at the table's folder; without it the set is text
            alone.
        id: without it, an utterance is named after its audio file, or its line.
        speaker: without it, each utterance is its own speaker.
        channel: channel of the audio, counted from 0; without it, several are averaged.
    """

    text: str = "text"
    audio: str = "audio"
    id: str = ""
    speaker: str = ""
    channel: str = ""


Columns = PairColumns
"""Its name in recipes made of an older template."""


def find_table(folder: Path, name: str) -> Path:
    """Path of the one table of this name in a folder, whatever its suffix.

    Raises:
        DataError: there is no such table, or several.
    """
    found = [path for end in SUFFIXES if (path := folder / f"{name}{end}").is_file()]
    if len(found) != 1:
        kinds = ", ".join(f"{name}{end}" for end in SUFFIXES)
        remedy = f"put the set's utterances into {folder / name}.tsv, or one of the others"
        raise DataError(
            f"{len(found)} of {kinds} are there, and one is wanted", folder, remedy=remedy
        )
    return found[0]


def column_names(path: Path) -> list[str]:
    """Names of a table's columns: those in its header, or the keys of its first object.

    Raises:
        DataError: the table has no row.
    """
    rows = read_json_lines(path, keys_once=True) if path.suffix == ".jsonl" else read_cells(path)
    for _, row in rows:
        return list(row)
    raise DataError("there is no utterance in it", path)


def read_pairs(
    path: Path, columns: PairColumns, form: Callable[[str], str] = lambda text: text
) -> list[Utterance]:
    """Read a table.

    Args:
        path: the table; its suffix says the format.
        columns: names of the columns; others are ignored.
        form: applied to every transcript.

    Raises:
        DataError: with the line: a missing column, an empty cell, a transcript of which `form`
            leaves nothing, an invalid or repeated id, or absent audio.
    """
    lines: dict[str, int] = {}
    utterances = []
    rows = read_json_lines(path, keys_once=True) if path.suffix == ".jsonl" else read_cells(path)
    for line, row in rows:
        cells = {column: _cell(row, column, path, line) for column in columns if column}
        text = form(cells[columns.text])
        if not text:
            raise DataError(f"nothing is left of '{cells[columns.text]}'", path, line)
        audio = None
        if columns.audio:
            file = Path(os.path.normpath(path.parent / cells[columns.audio]))
            if not file.is_file():
                raise DataError(f"there is no {file}", path, line)
            audio = Audio(str(file), channel=_channel(cells, columns.channel, path, line))
        utt = cells.get(columns.id) or (Path(audio.source).stem if audio else f"line{line:07d}")
        if problem := id_problem(utt):
            raise DataError(f"{problem}: {utt!r}", path, line)
        if utt in lines:
            message = f"the id {utt} also stands in line {lines[utt]}"
            raise DataError(message, path, line, None if columns.id else "name a column of ids")
        lines[utt] = line
        utterances.append(Utterance(utt, text, audio, cells.get(columns.speaker, "")))
    return utterances


def _channel(cells: Mapping[str, str], column: str, path: Path, line: int) -> int | None:
    try:
        return parse_channel(cells[column]) if column else None
    except ValueError as error:
        raise DataError(f"'{column}': {error}: {cells[column]!r}", path, line) from error


def _cell(row: Mapping[str, Any], column: str, path: Path, line: int) -> str:
    if column not in row:
        raise DataError(f"there is no column '{column}'{did_you_mean(column, row)}", path, line)
    value = row[column]
    if not isinstance(value, str | int) or not str(value).strip():
        raise DataError(f"'{column}' is empty, or not a string", path, line)
    return " ".join(str(value).split())
