"""Text for the stand-in LLM: the dictionary's words in no order, and the source's transcripts."""

import argparse
import random

from general_text import made_up_word, number
from prepare import read_dictionary

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import read_table, write_table


def sentence(words: list[str], rng: random.Random) -> str:
    """A spelled name, some numbers, or a few words of the dictionary in no order."""
    kind = rng.random()
    if kind < 0.3:
        return " ".join("".join(made_up_word(rng) for _ in range(rng.randint(1, 2)))).upper()
    if kind < 0.5:
        return " ".join(number(rng) for _ in range(rng.randint(1, 8))).upper()
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 10)))


def main(args: argparse.Namespace) -> None:
    rng = random.Random("general text")
    words = sorted(read_dictionary(args.dictionary))
    made = {f"general-{i:06d}": sentence(words, rng) for i in range(args.sentences)}
    write_table(args.out, made | read_table(args.source / "text"))


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "dictionary", "source", "out")
    parser.add_argument("--sentences", type=int, required=True)
    parser.run(main)
