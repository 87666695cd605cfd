"""Text for the stand-in LLM: the dictionary's words in no order, and the source's transcripts."""

import argparse
import random
from pathlib import Path

from general_text import made_up_word, number
from prepare import read_dictionary

from speechllm.data.dirs.kaldi import read_table, write_table
from speechllm.errors import SpeechLLMError


def sentence(words: list[str], rng: random.Random) -> str:
    """A spelled name, some numbers, or a few words of the dictionary in no order."""
    kind = rng.random()
    if kind < 0.3:
        return " ".join("".join(made_up_word(rng) for _ in range(rng.randint(1, 2)))).upper()
    if kind < 0.5:
        return " ".join(number(rng) for _ in range(rng.randint(1, 8))).upper()
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 10)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dictionary", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True, help="data dir")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sentences", type=int, required=True)
    args = parser.parse_args()
    rng = random.Random("general text")
    words = sorted(read_dictionary(args.dictionary))
    made = {f"general-{i:06d}": sentence(words, rng) for i in range(args.sentences)}
    write_table(args.out, made | read_table(args.source / "text"))


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(str(error)) from None
