"""Answers of a language model that should be JSON, read leniently by fixed rules.

An answer is *valid* if it is one JSON object of the form of `semantics` and nothing else. Any other
is read by these rules, and counts as *repaired*:

1. text before the first `{`, and after the object that it begins, is left out;
2. strings may stand in single quotes, keys and values in none;
3. a quote inside a string stays there: one that ends a string is followed by `,` `:` `}` `]`,
   another quote or the end of the answer;
4. commas may be missing or too many; brackets and quotes that are still open where the answer ends
   are closed, and a key without a value is left out;
5. a bracket of the wrong kind closes what is open, so that `{"a": [{"b": "c"]}` is read as meant;
6. a missing scenario or action is empty, missing entities are none, and an entity without type or
   filler is left out.

Without any `{` an answer is *invalid*, and is scored as an empty one.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from speechllm.files.strict_json import HALF_CHARACTER, load_json

State = Literal["valid", "repaired", "invalid"]
AFTER_STRING = ",:}]\"'"
ESCAPES = {letter: " " for letter in "bfnrt"}


@dataclass(frozen=True)
class Answer:
    """Contents of an answer.

    Attributes:
        scenario, action: labels; empty if there are none.
        entities: (type, filler) in their order, neither of them empty.
        state: `valid`, `repaired`, or `invalid` if it could not be repaired.
    """

    scenario: str = ""
    action: str = ""
    entities: tuple[tuple[str, str], ...] = ()
    state: State = "invalid"


def read_answer(text: str) -> Answer:
    """Read one answer; never raises.

    >>> read_answer("{'scenario': 'alarm', 'action': 'set', 'entities': []").state
    'repaired'
    """
    try:
        found, strict = load_json(text), True
    except ValueError:
        found, strict = _AnswerReader(text).read(), False
    if not isinstance(found, dict):
        found, strict = _AnswerReader(text).read(), False
    if found is None:
        return Answer()
    scenario, action = (_label(found.get(key)) for key in ("scenario", "action"))
    listed = found.get("entities")
    rows = listed if isinstance(listed, list) else []
    pairs = [(_label(r.get("type")), _label(r.get("filler"))) for r in rows if isinstance(r, dict)]
    entities = tuple((kind, filler) for kind, filler in pairs if kind and filler)
    whole = bool(scenario and action) and isinstance(listed, list) and len(entities) == len(rows)
    return Answer(scenario, action, entities, "valid" if strict and whole else "repaired")


def _label(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return " ".join(HALF_CHARACTER.sub("\ufffd", str(value)).split())


class _AnswerReader:
    """Reads the first object of a text by the rules above."""

    def __init__(self, text: str):
        self.text = text
        self.place = 0

    def read(self) -> dict[str, Any] | None:
        start = self.text.find("{")
        if start < 0:
            return None
        self.place = start
        try:
            return self._object()
        except RecursionError:
            return None

    def _next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1
        return self.text[self.place : self.place + 1]

    def _value(self) -> Any:
        first = self._next()
        if first == "{":
            return self._object()
        if first == "[":
            return self._list()
        return self._string()

    def _object(self) -> dict[str, Any]:
        self.place += 1
        found: dict[str, Any] = {}
        while (first := self._next()) and first not in "}]":
            if first in ",:{[":
                self.place += 1
                continue
            key = self._string()
            if self._next() != ":":
                continue
            self.place += 1
            if self._next() not in ("", ",", "}", "]"):
                found.setdefault(key, self._value())
        self.place += first == "}"
        return found

    def _list(self) -> list[Any]:
        self.place += 1
        found = []
        while (first := self._next()) and first not in "}]":
            if first in ",:":
                self.place += 1
            else:
                found.append(self._value())
        self.place += first == "]"
        return found

    def _string(self) -> str:
        """A string in quotes, or a bare word up to the next mark."""
        quote = self._next()
        if quote not in ('"', "'"):
            start = self.place
            while self.place < len(self.text) and self.text[self.place] not in ",:{}[]":
                self.place += 1
            return self.text[start : self.place].strip()
        self.place += 1
        said = []
        while self.place < len(self.text):
            letter = self.text[self.place]
            self.place += 1
            if letter == "\\":
                said.append(self._escaped())
            elif letter == quote and self._ends():
                break
            else:
                said.append(letter)
        return "".join(said)

    def _escaped(self) -> str:
        """Read what follows a backslash: the character that both stand for."""
        code = re.match(r"u([0-9a-fA-F]{4})", self.text[self.place : self.place + 5])
        letter = self.text[self.place : self.place + 1]
        self.place += len(code[0]) if code else len(letter)
        return chr(int(code[1], 16)) if code else ESCAPES.get(letter, letter)

    def _ends(self) -> bool:
        """Whether a quote just passed ends its string."""
        rest = self.text[self.place :].lstrip()
        return not rest or rest[0] in AFTER_STRING
