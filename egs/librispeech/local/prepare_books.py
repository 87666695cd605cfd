"""Sentences of books as a data dir of text: what an LLM reads beside little speech."""

import argparse
import logging
import random
import re
from pathlib import Path

from speechllm.data.corpora.spoken import spoken_form
from speechllm.data.corpora.utterances import Utterance, write_set
from speechllm.errors import DataError, SpeechLLMError
from speechllm.utf8 import read_text

END = re.compile(r"[.!?;:]+[\"'\N{RIGHT DOUBLE QUOTATION MARK}]*\s|--|\n\s*\n")
WORDS = range(6, 31)  # of a sentence


def sentences(path: Path) -> list[str]:
    """The sentences of one book without digits, in the form of LibriSpeech's transcripts."""
    text = read_text(path, DataError).replace("_", "")
    found = [spoken_form(part) for part in END.split(text) if not re.search(r"\d", part)]
    return [sentence for sentence in found if len(sentence.split()) in WORDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=Path, required=True, help="folder of *.txt")
    parser.add_argument("--out", type=Path, required=True, help="data dir to write")
    parser.add_argument("--sentences", type=int, default=6000, help="drawn from all books")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    paths = sorted(args.books.glob("*.txt"))
    if not paths:
        raise DataError("there is no *.txt in this folder", args.books)
    found = sorted({sentence for path in paths for sentence in sentences(path)})
    random.Random(0).shuffle(found)
    chosen = found[: args.sentences]
    write_set(args.out, [Utterance(f"book-{n:05d}", line) for n, line in enumerate(chosen)])


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/data.sh: error: {error}") from None
