"""Data dirs of LibriSpeech's splits."""

import argparse
import logging
from pathlib import Path

from speechllm.corpora.librispeech import is_set, read_sets, split_of
from speechllm.corpora.librispeech_biasing import add_biasing, biasing_file
from speechllm.corpora.reading.utterances import write_set
from speechllm.errors import SpeechLLMError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech_root", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--limit", type=int, default=0, help="at most so many utterances of each")
    parser.add_argument("--lower_case", action="store_true", help="write in small letters")
    parser.add_argument("--biasing", type=Path, help="folder of <split>.biasing_<size>.tsv")
    parser.add_argument("--biasing_size", type=int, default=100, help="distractors of a list")
    parser.add_argument("--sets", nargs="+", required=True, help="names of data dirs")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, utterances in read_sets(args.librispeech_root, args.sets):
        write_set(args.data / name, utterances, args.limit, args.lower_case)
        (args.data / name / "biasing").unlink(missing_ok=True)  # of other words, by an earlier run
        if args.biasing is not None and is_set(name):
            lists = biasing_file(args.biasing, split_of(name), args.biasing_size)
            if lists.is_file():  # there are some for the test sets alone
                add_biasing(args.data / name, lists)


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
