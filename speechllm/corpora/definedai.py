"""Call-centre speech in the layout that egs/definedai asks for (the corpus itself is commercial).

    <root>/lists/<set>.txt                        a line `<domain>/<call>` for each call of the set
    <root>/<domain>/audio/<call>_<channel>.wav    one side of a call; mono
    <root>/<domain>/transcripts/<call>.tsv        columns channel, start, end, text; seconds

A set may draw from several domains. No call may be in a training list and in one of dev or test.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from speechllm.corpora.reading.lines import read_cells, read_lines
from speechllm.corpora.reading.spoken import spoken_form
from speechllm.corpora.reading.utterances import Utterance, say_left_out
from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.kaldi import MOST_SECONDS, Audio
from speechllm.data.speech.audio import read_header
from speechllm.errors import DataError

COLUMNS = ["channel", "start", "end", "text"]
REMEDY = "README.md of the recipe says how --definedai_root is laid out"


def read_set(root: Path, name: str, with_audio: bool = True) -> list[Utterance]:
    """Read the calls of one set; transcripts in spoken form.

    Args:
        root: the folder of the layout above.
        name: name of the set's list.
        with_audio: False takes the transcripts alone, and looks for no audio.

    Raises:
        DataError: with file and line: a list, transcript or side of a call that is not there, a
            call that is malformed or repeated, a broken row, malformed times, stretches of one side
            that overlap, or audio of two channels.
    """
    lines: dict[str, int] = {}
    empty: list[str] = []
    utterances: list[Utterance] = []
    path = root / "lists" / f"{name}.txt"
    for number, call in read_lines(path, REMEDY):
        domain, _, call_id = call.strip().partition("/")
        if not domain or id_problem(domain) or id_problem(call_id):
            raise DataError(f"not <domain>/<call>: {call!r}", path, number)
        if call in lines:
            raise DataError(f"{call} also stands in line {lines[call]}", path, number)
        lines[call] = number
        transcript = root / domain / "transcripts" / f"{call_id}.tsv"
        if not transcript.is_file():
            raise DataError(f"there is no {transcript}", path, number, REMEDY)
        utterances += _read_call(root / domain, transcript, f"{domain}-", with_audio, empty)
    say_left_out("without a word", empty)
    return utterances


def check_lists(root: Path, names: Sequence[str]) -> None:
    """Refuse a call that is in a training list (`*_train`) and in one of the other lists.

    Raises:
        DataError: names list and line of the second place, and the training list.
    """
    trains: dict[str, str] = {}
    for name in (name for name in names if name.endswith("_train")):
        path = root / "lists" / f"{name}.txt"
        trains |= {call.strip(): name for _, call in read_lines(path, REMEDY)}
    for name in (name for name in names if not name.endswith("_train")):
        path = root / "lists" / f"{name}.txt"
        for number, call in read_lines(path, REMEDY):
            if other := trains.get(call.strip()):
                raise DataError(f"{call.strip()} is in {other} too", path, number)


def _read_call(
    folder: Path, transcript: Path, prefix: str, with_audio: bool, empty: list[str]
) -> Iterator[Utterance]:
    ends: dict[str, float] = {}
    for line, row in read_cells(transcript):
        if list(row) != COLUMNS:
            raise DataError(f"columns {', '.join(row)} are not {', '.join(COLUMNS)}", transcript, 1)
        channel = row["channel"]
        if problem := id_problem(channel):
            raise DataError(f"channel {channel!r}: {problem}", transcript, line)
        start, end = (_seconds(row[name], name, transcript, line) for name in ("start", "end"))
        if end <= start:
            raise DataError(f"ends at {end:g} s, and starts at {start:g} s", transcript, line)
        if start < ends.get(channel, 0.0):
            before = f"before the last of {channel} ends ({ends[channel]:g} s)"
            raise DataError(f"starts at {start:g} s, {before}", transcript, line)
        recording = f"{prefix}{transcript.stem}_{channel}"
        utt = f"{recording}-{round(1000 * start):08d}"
        wav = folder / "audio" / f"{transcript.stem}_{channel}.wav"
        if with_audio and channel not in ends:
            _check_side(wav, transcript, line)
        ends[channel] = end
        if text := spoken_form(row["text"]):
            audio = Audio(str(wav), start, end, recording) if with_audio else None
            yield Utterance(utt, text, audio, recording)
        else:
            empty.append(utt)


def _seconds(value: str, name: str, path: Path, line: int) -> float:
    try:
        seconds = float(value)
    except ValueError as error:
        raise DataError(f"{name} is no number of seconds: {value!r}", path, line) from error
    if not 0 <= seconds <= MOST_SECONDS:
        raise DataError(f"{name} is no number of seconds: {value!r}", path, line)
    return seconds


def _check_side(wav: Path, path: Path, line: int) -> None:
    if not wav.is_file():
        raise DataError(f"there is no {wav}", path, line, REMEDY)
    channels = read_header(Audio(str(wav))).channels
    if channels != 1:
        remedy = "write each channel to a file: sox IN.wav OUT_agent.wav remix 1, and so on"
        raise DataError(f"{channels} channels: a side of a call is mono", wav, remedy=remedy)
