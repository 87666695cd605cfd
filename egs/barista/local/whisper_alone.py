"""What Whisper's own transcripts of the orders would be worth, understood by a rule.

The values of the grammar's slots that stand in a transcript, longest first, are its meaning.

    speechllm whisper --model pretrained/whisper-base --data data/barista_test --out exp/whisper
    python3 local/whisper_alone.py --barista_root DIR --data data/barista_test \\
        --text exp/whisper/decode_decode/barista_test/text
"""

import argparse
import re
from pathlib import Path

from speechllm.data.corpora.barista import read_grammar
from speechllm.data.corpora.rhino import RhinoGrammar
from speechllm.data.corpus import Corpus
from speechllm.data.kaldi import read_table
from speechllm.errors import SpeechLLMError
from speechllm.tasks.semantics import write_answer
from speechllm.tasks.task import load_task

SPELLED = {"8": "eight", "12": "twelve", "16": "sixteen", "20": "twenty", "oz": "ounce"}


def understand(grammar: RhinoGrammar, transcript: str) -> str:
    """The answer for a transcript."""
    words = re.findall(r"[a-z']+|\d+", transcript.lower())
    said = f" {' '.join(SPELLED.get(word, word) for word in words)} "
    found: dict[str, str] = {}
    values = [(value, slot) for slot, values in grammar.slots.items() for value in values]
    for value, slot in sorted(values, key=lambda pair: (-len(pair[0]), pair)):
        if slot not in found and f" {value} " in said:
            found[slot] = value
            said = said.replace(f" {value} ", " / ", 1)
    return write_answer(grammar.meaning("orderDrink", found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--barista_root", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="data dir with semantics")
    parser.add_argument("--text", type=Path, required=True, help="transcripts")
    args = parser.parse_args()
    grammar, task = read_grammar(args.barista_root), load_task("slots")
    answers = {utt: understand(grammar, said) for utt, said in read_table(args.text).items()}
    rates = task.count(Corpus.load([args.data], task).targets, answers).rates
    print(", ".join(f"{figure.title} {rates[figure.key].percent:.1f}" for figure in task.figures))


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/whisper_alone.py: error: {error}") from None
