"""Data dirs of LibriSpeech's splits, the source."""

import argparse

from speechllm.corpora.librispeech import read_sets
from speechllm.corpora.reading.utterances import write_set
from speechllm.corpora.recipe_parser import RecipeParser


def main(args: argparse.Namespace) -> None:
    for name, utterances in read_sets(args.librispeech_root, args.sets):
        write_set(args.data / name, utterances, args.limit, args.lower_case)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "librispeech_root")
    parser.add_set_options()
    parser.run(main)
