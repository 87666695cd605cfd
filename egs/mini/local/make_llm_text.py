"""Text for a stand-in LLM that is to answer in JSON: general text, and JSON of its words.

A pretrained LLM has seen JSON. The stand-in sees its form alone, with everyday words for labels.
"""

import argparse
import random

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import read_table, write_table
from speechllm.tasks.semantics import write_answer

SHARE = 0.1  # of JSON


def answer(sentences: list[str], words: list[str], rng: random.Random) -> str:
    """Semantics of one form, with labels and fillers that mean nothing."""
    fillers = (rng.choice(sentences).split()[: rng.randint(1, 4)] for _ in range(rng.randint(0, 3)))
    entities = [{"type": rng.choice(words), "filler": " ".join(filler)} for filler in fillers]
    labels = {"scenario": rng.choice(words), "action": rng.choice(words)}
    return write_answer({**labels, "entities": entities})


def main(args: argparse.Namespace) -> None:
    rng = random.Random("json")
    text = read_table(args.text)
    sentences = list(text.values())
    words = sorted({word for sentence in sentences[:2000] for word in sentence.split()})
    count = round(SHARE * len(sentences))
    made = {f"json-{i:06d}": answer(sentences, words, rng) for i in range(count)}
    write_table(args.out, text | made)


if __name__ == "__main__":
    RecipeParser(__doc__, "text", "out").run(main)
