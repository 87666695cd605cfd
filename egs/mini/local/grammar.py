"""Random sentences from a grammar file.

    # a comment
    color: red, blue, light green          a rule: its alternatives are parted by commas or lines
    crop!: sugar beet, winter wheat        "!": what this rule yields is an entity of type "crop"
    cereal!crop: maize, rye                the same, with another name than the type
    walk_about:
        go* to the {place}                 "*" marks the head: it takes the form asked of the rule
        {handle*} the (old|new|) {object}  (a|b|) picks one, here perhaps nothing
    sentence:
        3* we {walk_about:ed} {time}       3 times as often; {rule:form}: see inflect.py
        the {crop:pl} are ready
    include common.txt                     rules of another file of the same folder

Every rule deals its alternatives from a shuffled deck, so that all words of a long list come up
about equally often, the rare ones too.
"""

import random
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from inflect import inflect

from speechllm.errors import DataError

_SLOT = re.compile(r"\{(\w+)(\*|:\w+)?\}|([a-z']+)\*")
_GROUP = re.compile(r"\(([^()]*)\)")
_VOWEL_SOUND = re.compile(r"\ba(?= (?:[aio]|e(?![uw])|u(?!ni|se|su|ti|ro|re|te|ku)|hour|honest))")
_CONSONANT_SOUND = re.compile(r"\ban(?= (?:one|once|eu))")


@dataclass(frozen=True)
class Sentence:
    """A sentence and what it is made of.

    Attributes:
        entities: `{"type", "text"}` in the order of the words.
        rules: names of the rules that were used, outer ones first.
    """

    text: str
    entities: list[dict[str, str]]
    rules: list[str]


@dataclass
class _Rule:
    alternatives: list[str]
    entity_type: str
    deck: list[str] = field(default_factory=list)


class Grammar:
    """Rules of a grammar file.

    Args:
        path: the file.
        seed: sentences are a function of the file and the seed.

    Raises:
        DataError: a line that is no rule, or a slot that names none.
    """

    def __init__(self, path: Path, seed: int | str):
        self._random = random.Random(str(seed))
        self._rules: dict[str, _Rule] = {}
        self._read(path)
        for name, rule in self._rules.items():
            for slot in _SLOT.finditer(" ".join(rule.alternatives)):
                if slot[1] and slot[1] not in self._rules:
                    raise DataError(f"rule {name} uses {{{slot[1]}}}, which is not there", path)

    def _read(self, path: Path) -> None:
        rule = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.split("#")[0].rstrip()
            if not line:
                continue
            if line.startswith("include "):
                self._read(path.parent / line.split()[1])
                continue
            if not line[0].isspace():
                head = re.fullmatch(r"(\w+)(?:(!)(\w*))?:(.*)", line)
                if head is None or head[1] in self._rules:
                    raise DataError(f"not a new rule: {line}", path, number)
                rule = self._rules[head[1]] = _Rule([], (head[3] or head[1]) if head[2] else "")
                line = head[4]
            if rule is None:
                raise DataError(f"alternative without a rule: {line.strip()}", path, number)
            for alternative in filter(None, map(str.strip, line.split(","))):
                weighted = re.fullmatch(r"(\d+)\* (.*)", alternative)
                times, text = (int(weighted[1]), weighted[2]) if weighted else (1, alternative)
                rule.alternatives += [text] * times

    def sentence(self, start: str = "sentence") -> Sentence:
        """Make a sentence of the rule `start`."""
        made = Sentence("", [], [])
        text = " ".join(self._expand(start, "", made).split())
        text = _CONSONANT_SOUND.sub("a", _VOWEL_SOUND.sub("an", text))
        return replace(made, text=text)

    def _deal(self, name: str) -> str:
        rule = self._rules[name]
        if not rule.deck:
            rule.deck = list(rule.alternatives)
            self._random.shuffle(rule.deck)
        return rule.deck.pop()

    def _expand(self, name: str, form: str, made: Sentence) -> str:
        made.rules.append(name)
        alternative = self._deal(name)
        text = self._fill(alternative, form, made)
        if entity_type := self._rules[name].entity_type:
            made.entities.append({"type": entity_type, "text": text})
        return text

    def _fill(self, text: str, form: str, made: Sentence) -> str:
        while _GROUP.search(text):
            text = _GROUP.sub(lambda group: self._random.choice(group[1].split("|")), text)
        if not _SLOT.search(text):
            return inflect(text, form)

        def fill_slot(slot: re.Match[str]) -> str:
            if slot[3]:
                return inflect(slot[3], form)
            # A slot that is all of the alternative is its head, too.
            is_head = slot[2] == "*" or (not slot[2] and slot[0] == text)
            own_form = form if is_head else (slot[2] or "")[1:]
            return self._expand(slot[1], own_form, made)

        return _SLOT.sub(fill_slot, text)
