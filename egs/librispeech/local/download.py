"""Splits of LibriSpeech from OpenSLR, those that are not there."""

import argparse
import logging
from pathlib import Path

from speechllm.corpora.librispeech import cut_from, download, split_of
from speechllm.errors import SpeechLLMError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech_root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", required=True, help="names of data dirs")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in args.sets:
        download(args.librispeech_root, split_of(cut_from(name)))


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
