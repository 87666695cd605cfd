"""Data dirs of SlideSpeech's domains, of its L95 part, and of LibriSpeech's splits."""

import argparse
from pathlib import Path

from speechllm.corpora import librispeech, slidespeech
from speechllm.corpora.reading.utterances import Utterance
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.errors import DataError


def read_set(name: str, args: argparse.Namespace) -> list[Utterance]:
    """Read what the name of a data dir stands for."""
    with_audio = not (args.text_only and name.endswith("_train") and name != "source_train")
    if librispeech.is_set(name):
        return librispeech.read_split(args.librispeech_root, librispeech.split_of(name))
    if name.startswith("l95_"):
        return read_l95(args.l95, name.removeprefix("l95_"), args.slidespeech_root, with_audio)
    path = slidespeech.split_file(args.splits, name)
    return slidespeech.read_split(path, args.slidespeech_root, with_audio)


def read_l95(folder: Path, part: str, root: Path, with_audio: bool) -> list[Utterance]:
    """Read a part of L95 from JSON lines, or from the `text` that the corpus comes with."""
    lines, table = folder / f"{part}.jsonl", folder / f"{part}.text"
    if lines.is_file():
        return slidespeech.read_split(lines, root, with_audio)
    if not table.is_file():
        raise DataError(
            f"neither {lines.name} nor {table.name} is there", folder, remedy="see --l95"
        )
    return slidespeech.read_text_table(table, root, with_audio)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "slidespeech_root", "splits", "l95", "librispeech_root")
    parser.add_argument("--text_only", action="store_true", help="no audio for <target>_train")
    parser.prepare(read_set)
