"""SlideSpeech (Wang et al., ICASSP 2024) with one folder of utterances for each domain, and splits
as JSON lines.

    <root>/<domain>/audios/<domain>_<video>-<segment>.wav
    {"key": "<domain>_<video>-<segment>", "source": "<SLIDESPEECH_ROOT>/<domain>/audios/...wav",
     "target": "TRANSCRIPT"}

The splits of life + talent + english, and of the three target domains, are published by the authors
of 2601.20900; `<SLIDESPEECH_ROOT>` stands in them for the user's own folder.
"""

import re
from pathlib import Path

from speechllm.corpora.reading.utterances import Utterance
from speechllm.data.dirs.kaldi import Audio
from speechllm.data.dirs.tables import read_table
from speechllm.data.exchange.lines import read_json_lines
from speechllm.errors import DataError, did_you_mean

PLACEHOLDER = "<SLIDESPEECH_ROOT>"
KEYS = ("key", "source", "target")
KEY = re.compile(r"(?P<video>(?P<domain>[a-z][a-z_]*)_\d+)-\d+")
SOURCE_FILES = {
    "source_train": "life_talent_english/slidespeech_L95_train_life_talent_english.jsonl",
    "source_dev": "life_talent_english/slidespeech_dev.jsonl",
    "source_test": "life_talent_english/slidespeech_L95_cs_test.jsonl",
}
TARGETS = ("agriculture", "animation", "musical_instruments")


def split_file(splits: Path, name: str) -> Path:
    """Path of the published file of a set: source_train, ..., agriculture_train, ...

    Raises:
        DataError: no such set, or the file is not there.
    """
    files = dict(SOURCE_FILES)
    for target in TARGETS:
        for part in ("train", "dev", "test"):
            files[f"{target}_{part}"] = f"{target}/slidespeech_L95_{target}_{part}.jsonl"
    if name not in files:
        raise DataError(f"the published splits have no set {name}{did_you_mean(name, files)}")
    path = splits / files[name]
    if not path.is_file():
        remedy = "--splits is the folder data/slidespeech of idiap/llm-asr-text-only-adaptation"
        raise DataError("there is no such file of the splits", path, remedy=remedy)
    return path


def read_split(path: Path, root: Path, with_audio: bool = True) -> list[Utterance]:
    """Read one file of splits.

    Args:
        path: JSON lines.
        root: takes the place of `<SLIDESPEECH_ROOT>`.
        with_audio: False takes the transcripts alone, and looks for no audio.

    Raises:
        DataError: a line that is not an object of `KEYS`, a malformed or repeated key, an empty
            transcript, a source that is another key's, or absent audio.
    """
    lines: dict[str, int] = {}
    utterances = []
    for number, row in read_json_lines(path, keys_once=True):
        key, source, target = _fields(row, path, number)
        video = _video(key, path, number)
        if key in lines:
            raise DataError(f"the key {key} also stands in line {lines[key]}", path, number)
        lines[key] = number
        if Path(source).stem != key:
            raise DataError(f"the source of {key} is {source}", path, number)
        audio = None
        if with_audio:
            audio = _audio(Path(source.replace(PLACEHOLDER, str(root), 1)), path, number)
        utterances.append(Utterance(key, target, audio, video))
    return utterances


def read_text_table(path: Path, root: Path, with_audio: bool = True) -> list[Utterance]:
    """Read a Kaldi `text` whose ids are SlideSpeech's keys; the audio follows from the key.

    Args:
        path: the table.
        root: folder with <domain>/audios/ in it.
        with_audio: False takes the transcripts alone, and looks for no audio.

    Raises:
        DataError: as `read_table`; a malformed key, or absent audio.
    """
    utterances = []
    for number, (key, text) in enumerate(read_table(path).items(), 1):
        video = _video(key, path, number)
        domain = video.rpartition("_")[0]
        audio = (
            _audio(root / domain / "audios" / f"{key}.wav", path, number) if with_audio else None
        )
        utterances.append(Utterance(key, text, audio, video))
    return utterances


def _fields(row: dict[str, object], path: Path, line: int) -> tuple[str, str, str]:
    for key in row:
        if key not in KEYS:
            raise DataError(f"unknown key '{key}'{did_you_mean(key, KEYS)}", path, line)
    values = []
    for key in KEYS:
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"'{key}' is missing, empty, or not a string", path, line)
        values.append(value.strip())
    return values[0], values[1], values[2]


def _video(key: str, path: Path, line: int) -> str:
    """Video of a key. It is taken for the speaker, as most videos have only one."""
    match = KEY.fullmatch(key)
    if not match:
        raise DataError(f"not <domain>_<video>-<segment>: {key!r}", path, line)
    return match["video"]


def _audio(file: Path, path: Path, line: int) -> Audio:
    if not file.is_file():
        remedy = "--slidespeech_root is the folder with <domain>/audios/ in it"
        raise DataError(f"there is no {file}", path, line, remedy)
    return Audio(str(file))
