"""Data dirs of LibriSpeech's splits."""

import argparse
from pathlib import Path

from speechllm.corpora.librispeech import is_set, read_sets, split_of
from speechllm.corpora.librispeech_biasing import add_biasing, biasing_file
from speechllm.corpora.reading.utterances import write_set
from speechllm.corpora.recipe_parser import RecipeParser


def main(args: argparse.Namespace) -> None:
    for name, utterances in read_sets(args.librispeech_root, args.sets):
        write_set(args.data / name, utterances, args.limit, args.lower_case)
        (args.data / name / "biasing").unlink(missing_ok=True)  # of other words, by an earlier run
        if args.biasing is not None and is_set(name):
            lists = biasing_file(args.biasing, split_of(name), args.biasing_size)
            if lists.is_file():  # there are some for the test sets alone
                add_biasing(args.data / name, lists)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "librispeech_root")
    parser.add_argument("--biasing", type=Path, help="folder of <split>.biasing_<size>.tsv")
    parser.add_argument("--biasing_size", type=int, default=100, help="distractors of a list")
    parser.add_set_options()
    parser.run(main)
