"""SLURP (Bastianelli et al., EMNLP 2020), from github.com/pswietojanski/slurp and Zenodo 4274930.

    <root>/dataset/slurp/{train,devel,test,train_synthetic}.jsonl
    <root>/audio/slurp_{real,synth}/<file>.flac      or below <root>/scripts/audio, or <root>

A line is a sentence with its meaning and the names of its recordings, most of which have a twin by
a close microphone, `...-headset.flac`. Transcript and fillers are the line's tokens, joined by
blanks and lower-cased, as in SLURP's own scorer: "keane 's", not "keane's".
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from speechllm.corpora.reading.utterances import Utterance, say_left_out
from speechllm.data.dirs.kaldi import Audio, first_ids
from speechllm.data.exchange.lines import read_json_lines
from speechllm.errors import DataError
from speechllm.files.guarded import guarded

log = logging.getLogger(__name__)

SPLITS = ("train", "devel", "test", "train_synthetic")
HEADSET = "-headset"
REMEDY = (
    "--slurp_root is a clone of github.com/pswietojanski/slurp with audio/slurp_real/ in it "
    "(scripts/download_audio.sh)"
)
Microphones = Literal["all", "headset"]


def read_split(
    root: Path, split: str, microphones: Microphones = "all", with_audio: bool = True
) -> list[Utterance]:
    """Read a split: an utterance for each recording, or for each sentence without audio.

    Absent recordings, sentences without any recording, and audio files that no line of any split
    names are left out and logged.

    Args:
        root: the folder of the layout above.
        split: one of SPLITS.
        microphones: of twin recordings "headset" takes the close one, "all" takes both.
        with_audio: False takes the sentences alone, each once.

    Raises:
        DataError: no such split, a malformed line, or no recording at all.
    """
    lines = root / "dataset/slurp" / f"{split}.jsonl"
    sentences = [(number, row, _meaning(row, lines, number)) for number, row in _rows(lines)]
    if not with_audio:
        return [
            Utterance(f"slurp-{row['slurp_id']}", _text(row), semantics=meaning)
            for _, row, meaning in sentences
        ]
    folder = _audio_folder(root, "slurp_synth" if split.endswith("synthetic") else "slurp_real")
    there = {path.name for path in folder.glob("*.flac")}
    utterances: list[Utterance] = []
    absent: list[str] = []
    mute: list[str] = []
    for _, row, meaning in sentences:
        files = [recording["file"] for recording in row["recordings"]]
        absent += [file for file in files if file not in there]
        files = _chosen([file for file in files if file in there], microphones)
        if not files:
            mute.append(f"slurp_id {row['slurp_id']}")
        utterances += [
            Utterance(Path(file).stem, _text(row), Audio(str(folder / file)), semantics=meaning)
            for file in files
        ]
    say_left_out(f"recordings of {split} that are not in {folder}", absent)
    say_left_out(f"sentences of {split} without any recording", mute)
    if not utterances:
        raise DataError(f"no recording of {lines.name} is there", folder, remedy=REMEDY)
    _say_unnamed(root, folder, there)
    return utterances


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in read_json_lines(path, REMEDY, keys_once=True):
        for key in ("slurp_id", "scenario", "action", "tokens", "entities", "recordings"):
            if key not in row:
                raise DataError(f"not a line of SLURP: there is no '{key}'", path, number)
        with guarded(path, "not a line of SLURP", number):
            said = [token["surface"] for token in row["tokens"]]
            files = [recording["file"] for recording in row["recordings"]]
            " ".join([*said, *files, row["scenario"], row["action"]])  # all of them are texts
            iter(row["entities"])
        yield number, row


def _text(row: dict[str, Any]) -> str:
    return " ".join(token["surface"] for token in row["tokens"]).lower()


def _meaning(row: dict[str, Any], path: Path, number: int) -> dict[str, Any]:
    tokens = [token["surface"].lower() for token in row["tokens"]]
    entities = []
    for entity in row["entities"]:
        with guarded(path, "not a line of SLURP", number):
            span = [int(place) for place in entity["span"]]
            str.strip(entity["type"])
        if not span or not all(0 <= place < len(tokens) for place in span):
            message = f"entity {entity['type']}: span {span}, but there are {len(tokens)} tokens"
            raise DataError(message, path, number)
        filler = " ".join(tokens[place] for place in span)
        entities.append({"type": entity["type"], "filler": filler})
    return {"scenario": row["scenario"], "action": row["action"], "entities": entities}


def _chosen(files: list[str], microphones: Microphones) -> list[str]:
    if microphones == "all":
        return files
    close = {file.replace(HEADSET, "") for file in files if HEADSET in file}
    return [file for file in files if HEADSET in file or file not in close]


def _audio_folder(root: Path, name: str) -> Path:
    folders = [root / below / name for below in ("audio", "scripts/audio", ".")]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        raise DataError(f"there is no folder {name}", root, remedy=REMEDY)
    return found


def _say_unnamed(root: Path, folder: Path, there: set[str]) -> None:
    """Log audio files that no line names, if all splits that use the folder are there."""
    synthetic = folder.name.endswith("synth")
    splits = [split for split in SPLITS if split.endswith("synthetic") == synthetic]
    paths = [root / "dataset/slurp" / f"{split}.jsonl" for split in splits]
    if all(path.is_file() for path in paths):
        named = {r["file"] for path in paths for _, row in _rows(path) for r in row["recordings"]}
        if unnamed := sorted(there - named):
            log.warning("audio files in %s that no line names: %s", folder, first_ids(unnamed))
