"""Lenient reading of answers: every rule, and that nothing makes it fail."""

import json
import random

import pytest

from speechllm.score.count.answers import Answer, read_answer

ORDER = (
    '{"scenario": "coffee", "action": "order", "entities": [{"type": "size", "filler": "large"}]}'
)
MEANT = ("coffee", "order", (("size", "large"),))


def said(answer: Answer) -> tuple:
    return answer.scenario, answer.action, answer.entities


def test_the_form_itself_is_valid() -> None:
    answer = read_answer(ORDER)
    assert said(answer) == MEANT and answer.state == "valid"
    none = read_answer('{"scenario": "a", "action": "b", "entities": []}')
    assert said(none) == ("a", "b", ()) and none.state == "valid"


@pytest.mark.parametrize(
    "text",
    [
        f"The answer is {ORDER}",
        f"{ORDER} I hope this helps {{}}",
        f"```json\n{ORDER}\n```",
        ORDER.replace('"', "'"),
        ORDER.replace('"', ""),
        ORDER.replace(",", ""),
        ORDER.replace("[", "[,").replace("}]", "},]"),
        ORDER.replace("}]}", ""),
        ORDER.replace('"}]}', ""),
        ORDER.replace("}]}", "]}"),
        ORDER.replace("}]}", "}}"),
        ORDER.replace("}]}", '}, {"type": "ro'),
        ORDER.replace("}]}", '}, {"type": "roast", "filler": ""}]}'),
        ORDER.replace("}]}", '}, "dark"]}'),
    ],
)
def test_what_is_meant_is_read(text: str) -> None:
    answer = read_answer(text)
    assert said(answer) == MEANT and answer.state == "repaired"


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_inside_a_filler_stay(quote: str) -> None:
    filler = "o\"clock o'clock"
    text = ORDER.replace('"', quote).replace("large", filler)
    assert read_answer(text).entities == (("size", filler),)
    escaped = json.dumps(
        {"scenario": "a", "action": "b", "entities": [{"type": "t", "filler": '"'}]}
    )
    assert read_answer(escaped[:-1]).entities == (("t", '"'),)
    accents = '{"entities": [{"type": "t", "filler": "caf\\u00e9\\nnoir\\'
    assert read_answer(accents).entities == (("t", "café noir"),)


@pytest.mark.parametrize("cut", range(len(ORDER)))
def test_cut_short_keeps_what_was_said(cut: int) -> None:
    answer = read_answer(ORDER[:cut])
    assert answer.state == ("repaired" if cut else "invalid")
    assert answer.scenario == "" or "coffee".startswith(answer.scenario)
    assert all("large".startswith(filler) for _, filler in answer.entities)


def test_parts_that_are_missing_are_empty() -> None:
    assert said(read_answer('{"action": "order"}')) == ("", "order", ())
    assert said(read_answer('{"scenario": null, "action": 3, "entities": "x"}')) == ("", "3", ())
    assert read_answer('{"scenario": "a", "action": "b"}').state == "repaired"


@pytest.mark.parametrize("text", ["", "   ", "a large latte", "[1, 2]", '"coffee"', "null"])
def test_no_object_is_invalid(text: str) -> None:
    assert read_answer(text) == Answer("", "", (), "invalid")


def test_nothing_makes_it_fail() -> None:
    rng = random.Random(0)
    marks = ["{", "}", "[", "]", '"', "'", ":", ",", "\\", " ", "scenario", "entities", "type", "x"]
    for _ in range(3000):
        read_answer("".join(rng.choices(marks, k=rng.randint(0, 30))))
    deep = read_answer("{" + '"entities": [' * 100_000)
    assert deep.state in ("repaired", "invalid")
