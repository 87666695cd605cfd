"""Text for the stand-in LLM: dictation, orders in other shops, and JSON of such words.

A pretrained LLM has seen JSON. The stand-in sees its form alone, with everyday words for labels.
"""

import argparse
import random
from pathlib import Path

from words import EVERYDAY, dictation

from speechllm.corpora.reading.rhino import RhinoGrammar
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import write_table
from speechllm.tasks.semantics import write_answer


def answer(rng: random.Random) -> str:
    """Semantics of one form, with labels and fillers that mean nothing."""
    entities = [
        {"type": rng.choice(EVERYDAY), "filler": " ".join(dictation(rng).split()[:count])}
        for count in rng.choices((1, 2, 3), k=rng.randint(0, 5))
    ]
    labels = {"scenario": rng.choice(EVERYDAY), "action": rng.choice(EVERYDAY)}
    return write_answer({**labels, "entities": entities})


def main(args: argparse.Namespace) -> None:
    rng = random.Random("text of the LLM")
    grammar = RhinoGrammar(Path(__file__).with_name("shop.yaml"), "shop")
    makers = (dictation, lambda rng: grammar.sentence(rng).text, answer)
    kinds = rng.choices(makers, (7, 2, 1), k=args.sentences)
    write_table(args.out, {f"text-{i:06d}": make(rng) for i, make in enumerate(kinds)})


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "out")
    parser.add_argument("--sentences", type=int, required=True)
    parser.run(main)
