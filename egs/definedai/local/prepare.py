"""Data dirs of call-centre speech, and of SlideSpeech's domains."""

import argparse

from speechllm.corpora import definedai, slidespeech
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser


def is_slidespeech(name: str) -> bool:
    return name.rpartition("_")[0] in slidespeech.TARGETS


def read_set(name: str, args: argparse.Namespace) -> list[Utterance]:
    """Read what the name of a data dir stands for."""
    with_audio = not (args.text_only and name.endswith("_train") and name != "source_train")
    if is_slidespeech(name):
        path = slidespeech.split_file(args.splits, name)
        return slidespeech.read_split(path, args.slidespeech_root, with_audio)
    return definedai.read_set(args.definedai_root, name, with_audio)


def main(args: argparse.Namespace) -> None:
    if args.step == "lists":
        calls = [name for name in args.sets if not is_slidespeech(name)]
        definedai.check_lists(args.definedai_root, calls)
        return
    for name in args.sets:
        write_set(args.data / name, read_set(name, args), args.limit)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "definedai_root", "slidespeech_root", "splits")
    parser.add_argument("step", choices=("lists", "sets"))
    parser.add_argument("--text_only", action="store_true", help="no audio for <target>_train")
    parser.add_set_options()
    parser.run(main)
