"""What Whisper's own transcripts of the orders are worth, understood by a rule.

The fillers that a domain's training data have, found in a transcript, longest first, are its
meaning. The action is that whose entities the found ones resemble most.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechllm.commands import whisper
from speechllm.decode.whisper_alone import AnswerRule, decode_alone
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.files.made_from import verifying
from speechllm.score.normalize.normalize import normalizer
from speechllm.score.normalize.openai_whisper import WHISPER
from speechllm.slot.corpus import Corpus
from speechllm.task import load_task
from speechllm.tasks.semantics import parse_semantics, write_answer

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
        self.fillers = sorted(
            ((plain(filler), filler, kind) for filler, kind in fillers),
            key=lambda found: (-len(found[0]), found),
        )

    def __call__(self, transcript: str) -> str:
        """The answer for a transcript."""
        said = f" {plain(transcript)} "
        found: dict[str, str] = {}
        for words, filler, kind in self.fillers:
            if kind not in found and f" {words} " in said:
                found[kind] = filler
                said = said.replace(f" {words} ", " / ", 1)
        # Of equally good actions the one that needs the fewest other entities, then the first.
        action = max(
            sorted(self.types),
            key=lambda name: (len(self.types[name] & found.keys()), -len(self.types[name])),
        )
        entities = [{"type": kind, "filler": filler} for kind, filler in found.items()]
        return write_answer({"scenario": self.scenario, "action": action, "entities": entities})


def plain(text: str) -> str:
    """As Whisper's normaliser has it: numbers in figures, whoever wrote them."""
    words = normalizer(WHISPER)(text).split()
    return " ".join("ounce" if word == "oz" else word for word in words)


def known_of(data_dir: Path) -> Path:
    """The training data of a set's domain.

    Raises:
        ConfigError: there is no rule for that domain.
    """
    domain = data_dir.name.partition("_")[0]
    if domain not in KNOWN:
        raise ConfigError(f"--data: no rule understands {data_dir}", f"name {' or '.join(KNOWN)}")
    return data_dir.parent / KNOWN[domain]


def rule_of(data_dir: Path) -> Rule:
    """The rule for a set."""
    targets = Corpus.load([known_of(data_dir)], load_task("slots")).targets
    return Rule([parse_semantics(target) for target in targets.values()])


def files_of(data_dir: Path) -> dict[str, Path]:
    """What the rule depends on."""
    return {"its rule": Path(__file__), "what is known": known_of(data_dir) / "semantics"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    whisper.add_arguments(parser)
    parser.add_argument("--verify", action="store_true", help="hash all that answers are made of")
    args = parser.parse_args()
    with verifying(args.verify):
        decode_alone(
            args.model,
            args.data,
            args.out,
            args.tag,
            args.language,
            args.allow_pipes,
            AnswerRule("slots", rule_of, files_of),
        )


if __name__ == "__main__":
    try:
        main()
    except SpeechLLMError as error:
        raise SystemExit(f"local/whisper_alone.py: error: {error}") from None
