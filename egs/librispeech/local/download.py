"""Splits of LibriSpeech from OpenSLR, those that are not there."""

import argparse

from speechllm.corpora.librispeech import cut_from, download, split_of
from speechllm.corpora.recipe_parser import RecipeParser


def main(args: argparse.Namespace) -> None:
    for name in args.sets:
        download(args.librispeech_root, split_of(cut_from(name)))


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "librispeech_root")
    parser.add_argument("--sets", nargs="+", required=True, help="names of data dirs")
    parser.run(main)
