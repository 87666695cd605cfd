"""What Whisper's own transcripts of the orders are worth, understood by a rule.

The fillers that a domain's training data have, found in a transcript, longest first, are its
meaning. The action is that whose entities the found ones resemble most.
"""

import argparse
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from speechllm.commands import whisper
from speechllm.data.corpus import Corpus
from speechllm.decode.whisper import decode_alone
from speechllm.errors import SpeechLLMError
from speechllm.tasks.semantics import parse_semantics, write_answer
from speechllm.tasks.task import load_task

SPELLED = {"8": "eight", "12": "twelve", "16": "sixteen", "20": "twenty", "oz": "ounce"}
KNOWN = {"barista": "barista_text", "shop": "shop_train"}  # the training data of each domain


class Rule:
    """Understands a domain.

    Args:
        semantics: of its training data.
    """

    def __init__(self, semantics: Sequence[dict[str, Any]]):
        self.scenario = semantics[0]["scenario"]
        self.types: dict[str, set[str]] = {}  # by action
        fillers = set()
        for meaning in semantics:
            entities = meaning["entities"]
            fillers |= {(e["filler"], e["type"]) for e in entities}
            self.types.setdefault(meaning["action"], set()).update(e["type"] for e in entities)
        self.fillers = sorted(fillers, key=lambda pair: (-len(pair[0]), pair))

    def __call__(self, transcript: str) -> str:
        """The answer for a transcript."""
        words = re.findall(r"[a-z']+|\d+", transcript.lower())
        said = f" {' '.join(SPELLED.get(word, word) for word in words)} "
        found: dict[str, str] = {}
        for filler, kind in self.fillers:
            if kind not in found and f" {filler} " in said:
                found[kind] = filler
                said = said.replace(f" {filler} ", " / ", 1)
        # Of equally good actions the one that needs the fewest other entities, then the first.
        action = max(
            sorted(self.types),
            key=lambda name: (len(self.types[name] & found.keys()), -len(self.types[name])),
        )
        entities = [{"type": kind, "filler": filler} for kind, filler in found.items()]
        return write_answer({"scenario": self.scenario, "action": action, "entities": entities})


@cache
def rule_of(data: Path, domain: str) -> Rule:
    """The rule for a domain, from its training data in the folder of all sets."""
    task = load_task("slots")
    targets = Corpus.load([data / KNOWN[domain]], task).targets
    return Rule([parse_semantics(target) for target in targets.values()])


def understand(data_dir: Path, transcript: str) -> str:
    """The answer that a transcript of a data dir gives."""
    return rule_of(data_dir.parent, data_dir.name.partition("_")[0])(transcript)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    whisper.add_arguments(parser)
    args = parser.parse_args()
    decode_alone(
        args.model,
        args.data,
        args.out,
        args.tag,
        args.language,
        args.allow_pipes,
        task="slots",
        understand=understand,
    )


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/whisper_alone.py: error: {error}") from None
