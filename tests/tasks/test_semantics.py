import json
import re

import pytest

from speechllm.tasks.semantics import (
    answer_pattern,
    in_order,
    parse_semantics,
    strange_fillers,
    write_answer,
)

MEANING = {
    "scenario": "alarm",
    "action": "set",
    "entities": [
        {"type": "time", "filler": "seven am"},
        {"type": "day", "filler": "monday"},
    ],
}


def test_there_and_back() -> None:
    answer = write_answer(MEANING)
    assert answer == (
        '{"scenario": "alarm", "action": "set", "entities": '
        '[{"type": "time", "filler": "seven am"}, {"type": "day", "filler": "monday"}]}'
    )
    assert parse_semantics(answer) == MEANING
    loose = '{ "entities" :[], "action":" set", "scenario":"alarm"}'
    assert write_answer(parse_semantics(loose)).startswith('{"scenario": "alarm", "action": "set"')
    assert '"caf\u00e9"' in write_answer({**MEANING, "scenario": "caf\u00e9"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"scenario": "a"', "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ('{"scenario": "a", "action": "b"}', "without key: entities"),
        ('{"scenario": "a", "action": "b", "entities": [], "text": "x"}', "unknown key.*: text"),
        ('{"scenario": "a", "action": "", "entities": []}', "not a text: action"),
        ('{"scenario": "a", "action": "b", "entities": {}}', "is no list"),
        ('{"scenario": "a", "action": "b", "entities": ["x"]}', "an entity is not"),
        ('{"scenario": "a", "action": "b", "entities": [{"type": "x"}]}', "without key: filler"),
        (
            '{"scenario": "a", "action": "b", "entities": [{"type": "x", "filler": 7}]}',
            "not a text: filler",
        ),
    ],
)
def test_what_is_wrong_is_said(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_semantics(line)


def test_entities_stand_as_the_transcript_has_them() -> None:
    found = in_order(MEANING, "on Monday at seven am")
    assert [e["type"] for e in found["entities"]] == ["day", "time"]
    assert in_order(MEANING, "at seven am on monday") == MEANING
    twice = {
        **MEANING,
        "entities": [
            {"type": "to", "filler": "one"},
            {"type": "odd", "filler": "nowhere"},
            {"type": "from", "filler": "one"},
            {"type": "mid", "filler": "two"},
        ],
    }
    types = [e["type"] for e in in_order(twice, "one two one someone")["entities"]]
    assert types == ["to", "mid", "from", "odd"]


def test_fillers_that_nobody_said() -> None:
    assert strange_fillers(MEANING, "at Seven  AM") == ["monday"]
    assert strange_fillers(MEANING, "seven amazing mondays") == ["seven am", "monday"]


def test_the_pattern_holds_all_answers_of_the_labels_and_no_others() -> None:
    labels = {"scenario": ["alarm", 'a"b'], "action": ["set", "x.y"], "type": ["day", "time"]}
    pattern = re.compile(answer_pattern(labels))
    for meaning in (
        MEANING,
        {**MEANING, "entities": []},
        {"scenario": 'a"b', "action": "x.y", "entities": [{"type": "day", "filler": 'a "b" \\'}]},
    ):
        answer = write_answer(meaning)
        assert pattern.fullmatch(answer) and json.loads(answer) == meaning
    for wrong in (
        {**MEANING, "scenario": "alarms"},
        {**MEANING, "action": "xzy"},
        {**MEANING, "entities": [{"type": "place", "filler": "here"}]},
    ):
        assert not pattern.fullmatch(write_answer(wrong))
    bare = re.compile(answer_pattern({**labels, "type": []}))
    assert bare.fullmatch(write_answer({**MEANING, "entities": []}))
    assert not bare.fullmatch(write_answer(MEANING))
