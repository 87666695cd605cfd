"""Data dirs of LibriSpeech's splits, the source."""

import argparse
import logging
from pathlib import Path

from speechllm.corpora.librispeech import read_sets
from speechllm.corpora.reading.utterances import write_set
from speechllm.errors import SpeechLLMError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech_root", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--limit", type=int, default=0, help="at most so many utterances of each")
    parser.add_argument("--lower_case", action="store_true", help="write in small letters")
    parser.add_argument("--sets", nargs="+", required=True, help="names of data dirs")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, utterances in read_sets(args.librispeech_root, args.sets):
        write_set(args.data / name, utterances, args.limit, args.lower_case)


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
