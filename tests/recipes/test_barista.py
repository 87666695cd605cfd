"""egs/barista's own scripts: words to dictate, and orders understood by a rule."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.tiny import make_llm

RECIPE = ROOT / "egs" / "barista"
KNOWN = {
    "size": ["medium", "twelve ounce"],
    "roast": ["medium roast", "dark roast"],
    "coffeeDrink": ["mocha", "iced mocha"],
    "milkAmount": ["skim milk", "a bit of skim milk"],
}


@pytest.fixture(scope="module", autouse=True)
def local():
    sys.path.insert(0, str(RECIPE / "local"))
    yield
    sys.path.remove(str(RECIPE / "local"))


def test_each_word_is_dictated_once() -> None:
    from words import dictations_of

    words = [f"word{i}" for i in range(100)]
    found = [text.split() for text in dictations_of(words, random.Random(0))]
    assert sorted(word for text in found for word in text) == sorted(words)
    assert all(5 <= len(text) <= 12 for text in found[:-1]) and found[-1]


def test_words_of_an_llm_are_whole_and_lower_case(tmp_path: Path) -> None:
    from words import words_of

    found = words_of(make_llm(tmp_path / "llm"))
    assert found and all(word.isalpha() and word.islower() for word in found)
    assert all(len(word) > 2 for word in found)


@pytest.mark.parametrize(
    ("transcript", "expected"),
    [
        (
            "Medium, medium-roast iced mocha with a bit of skim milk.",
            {
                "size": "medium",
                "roast": "medium roast",
                "coffeeDrink": "iced mocha",
                "milkAmount": "a bit of skim milk",
            },
        ),
        (
            "A 12 oz dark roast Mocha",
            {"size": "twelve ounce", "roast": "dark roast", "coffeeDrink": "mocha"},
        ),
        ("Thank you.", {}),
    ],
)
def test_a_rule_finds_the_longest_fillers(transcript: str, expected: dict[str, str]) -> None:
    from whisper_alone import Rule

    def meaning(action: str, **entities: str) -> dict[str, Any]:
        found = [{"type": kind, "filler": filler} for kind, filler in entities.items()]
        return {"scenario": "coffee", "action": action, "entities": found}

    orders = [meaning("orderDrink", **{kind: f}) for kind in KNOWN for f in KNOWN[kind]]
    answer = json.loads(Rule([*orders, meaning("cleanMachine", day="today")])(transcript))
    found = {entity["type"]: entity["filler"] for entity in answer["entities"]}
    assert found == expected
    assert answer["scenario"] == "coffee"
    assert answer["action"] == ("orderDrink" if expected else "cleanMachine")
