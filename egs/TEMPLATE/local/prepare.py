"""Data dirs of a corpus of tables; local/data.sh describes their columns."""

import argparse

from speechllm.corpora.pairs import PairColumns, column_names, find_table, read_pairs
from speechllm.corpora.reading.utterances import Utterance
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.errors import DataError, did_you_mean

COLUMNS = ("id", "text", "audio", "speaker", "channel")


def read_set(name: str, args: argparse.Namespace) -> list[Utterance]:
    """Read a set's table; without a column of audio it is a set of text."""
    path = find_table(args.corpus, name)
    there = column_names(path)
    for name in there:
        if name not in COLUMNS:
            raise DataError(f"unknown column '{name}'{did_you_mean(name, COLUMNS)}", path, 1)
    audio, speaker, channel = (name if name in there else "" for name in COLUMNS[2:])
    return read_pairs(path, PairColumns("text", audio, "id", speaker, channel))


if __name__ == "__main__":
    RecipeParser(__doc__, "corpus").prepare(read_set)
