"""Data dirs of a corpus of tables; local/data.sh describes their columns."""

import argparse
import logging
from pathlib import Path

from speechllm.corpora.pairs import PairColumns, column_names, find_table, read_pairs
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.errors import DataError, SpeechLLMError, did_you_mean

COLUMNS = ("id", "text", "audio", "speaker", "channel")


def read_set(path: Path) -> list[Utterance]:
    """Read a set's table; without a column of audio it is a set of text."""
    there = column_names(path)
    for name in there:
        if name not in COLUMNS:
            raise DataError(f"unknown column '{name}'{did_you_mean(name, COLUMNS)}", path, 1)
    audio, speaker, channel = (name if name in there else "" for name in COLUMNS[2:])
    return read_pairs(path, PairColumns("text", audio, "id", speaker, channel))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", required=True, help="names of data dirs and tables")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in args.sets:
        write_set(args.data / name, read_set(find_table(args.corpus, name)))


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
