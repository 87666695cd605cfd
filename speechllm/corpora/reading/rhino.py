"""Grammars of Picovoice's Rhino: sentences, lower-cased, with their intent and slots.

    context:
      expressions:
        orderDrink:
          - "[I want, give me] a $size:size [iced, hot] coffee"
      slots:
        size: [small, large]

`[a, b]` stands for one of these, `$slot:name` for one of the slot's values, kept under the name.
"""

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechllm.corpora.reading.lines import read_lines, read_text
from speechllm.corpora.reading.utterances import Utterance
from speechllm.errors import DataError
from speechllm.files.guarded import guarded
from speechllm.files.strict_yaml import load_yaml

_PIECE = re.compile(r"\[(?P<choice>[^\]]*)\]|\$(?P<slot>\w+):(?P<name>\w+)|(?P<word>[^\s\[\]$]+)")


class RhinoGrammar:
    """Grammar of sentences with intents and slots.

    Args:
        path: the grammar's yaml file.
        scenario: scenario of all sentences; an intent is an action in it.

    Attributes:
        slots: values by slot. Entities stand in the order of slots, not of the sentence.

    Raises:
        DataError: an expression with an unknown slot or of an unknown form, or no expression.
    """

    def __init__(self, path: Path, scenario: str):
        self.path, self.scenario = path, scenario
        with guarded(path, "no grammar of expressions and slots"):
            context = load_yaml(read_text(path))["context"]
            self._read(context["expressions"], context["slots"])

    def _read(self, expressions: Mapping[str, list[str]], slots: Mapping[str, list[str]]) -> None:
        self.slots = {name: [value.lower() for value in values] for name, values in slots.items()}
        self.expressions = [
            (intent, line.lower(), list(_PIECE.finditer(line)))
            for intent, lines in expressions.items()
            for line in lines
        ]
        if not self.expressions or not all(self.slots.values()):
            raise DataError("there is no expression, or a slot without values", self.path)
        for _, line, pieces in self.expressions:
            unknown = [p["slot"] for p in pieces if p["slot"] and p["slot"] not in self.slots]
            if unknown or re.sub(r"\s", "", _PIECE.sub("", line)):
                raise DataError(f"cannot read the expression: {line}", self.path)
        self._patterns = [(intent, self._pattern(ps)) for intent, _, ps in self.expressions]

    def sentence(self, rng: random.Random) -> Utterance:
        """Draw a random sentence; its id is empty."""
        intent, _, pieces = rng.choice(self.expressions)
        words, slots = [], {}
        for piece in pieces:
            if piece["slot"]:
                slots[piece["name"]] = rng.choice(self.slots[piece["slot"]])
                words.append(slots[piece["name"]])
            elif piece["word"]:
                words.append(piece["word"].lower())
            else:
                words.append(rng.choice(_choices(piece)))
        return Utterance(
            "", " ".join(" ".join(words).split()), semantics=self.meaning(intent, slots)
        )

    def meaning(self, intent: str, values: Mapping[str, str]) -> dict[str, Any]:
        """Semantics of an intent and its slots; blanks around values are removed.

        Args:
            intent: name of the intent.
            values: slot -> value.

        Raises:
            ValueError: an unknown slot.
        """
        if unknown := sorted(values.keys() - self.slots.keys()):
            raise ValueError(f"unknown slots: {', '.join(unknown)}")
        entities = [
            {"type": slot, "filler": " ".join(values[slot].lower().split())}
            for slot in self.slots
            if slot in values
        ]
        return {"scenario": self.scenario, "action": intent, "entities": entities}

    def parse(self, sentence: str) -> dict[str, Any]:
        """Parse a sentence; return its meaning.

        Raises:
            ValueError: it is not a sentence of the grammar.
        """
        text = " ".join(sentence.lower().split())
        for intent, pattern in self._patterns:
            if match := pattern.fullmatch(text):
                return self.meaning(intent, match.groupdict())
        raise ValueError(f"not a sentence of {self.path.name}: {sentence}")

    def read_corpus(self, path: Path) -> Iterator[Utterance]:
        """Read the sentences of a file, one on each line; ids are `corpus-<line number>`.

        Raises:
            DataError: a line that is no sentence of the grammar.
        """
        for number, line in read_lines(path):
            try:
                meaning = self.parse(line)
            except ValueError as error:
                raise DataError(str(error), path, number) from error
            text = " ".join(line.lower().split())
            yield Utterance(f"corpus-{number:04d}", text, semantics=meaning)

    def _pattern(self, pieces: list[re.Match[str]]) -> re.Pattern[str]:
        parts = []
        for piece in pieces:
            if piece["slot"]:
                part = f"(?P<{piece['name']}>{_any_of(self.slots[piece['slot']])})"
            else:
                part = f"(?:{_any_of(_choices(piece) if piece['choice'] else [piece[0].lower()])})"
            optional = "?" if piece["choice"] and "" in _choices(piece) else ""
            parts.append(f"(?:{part}(?: |$)){optional}")
        return re.compile("".join(parts))


def _choices(piece: re.Match[str]) -> list[str]:
    return [choice.strip().lower() for choice in piece["choice"].split(",")]


def _any_of(values: list[str]) -> str:
    return "|".join(map(re.escape, values))
