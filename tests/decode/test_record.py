"""A hypothesis goes to hyp.jsonl and comes back the same."""

import json
from pathlib import Path

import pytest

from speechllm.decode.record import GuardRecord, HypothesisRecord, RecordedWord, read_records
from speechllm.errors import DataError

WORDS = (RecordedWord("a", 0.5, 0.0, 0.1), RecordedWord("b"))
RECORDS = [
    HypothesisRecord("u1", "a b", 2, False, seconds=1.5, decode_seconds=0.25),
    HypothesisRecord("u2", "", 0, True, GuardRecord(("empty",), True, "", "x", "first")),
    HypothesisRecord("u3", "a b", 2, False, None, ("tea", "naïve"), 0.0, WORDS),
    HypothesisRecord("u4", "a", 1, False, GuardRecord(("loop", "long"), False, "a"), words=()),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_there_and_back(record: HypothesisRecord) -> None:
    line = record.to_json()
    assert HypothesisRecord.from_json(json.loads(json.dumps(line))) == record
    assert ("words" in line) == (record.words is not None)
    assert None not in line.values()


def test_the_line_of_a_plain_hypothesis_has_no_more_keys() -> None:
    assert [*RECORDS[0].to_json()] == [
        *("id", "text", "tokens", "truncated", "seconds", "decode_seconds")
    ]


def test_a_folder_without_records_has_none_and_others_may_write_less(tmp_path: Path) -> None:
    assert read_records(tmp_path) == {}
    (tmp_path / "hyp.jsonl").write_text('{"id": "a"}\n{"id": "b", "text": "x", "mine": 1}\n{"id"')
    assert read_records(tmp_path) == {
        "a": HypothesisRecord("a", ""),
        "b": HypothesisRecord("b", "x"),
    }


@pytest.mark.parametrize(
    "odd",
    [
        '"text": 3',
        '"words": 3',
        '"words": [{"start": 1}]',
        '"guard": ["loop"]',
    ],
)
def test_what_is_no_hypothesis_is_damage(tmp_path: Path, odd: str) -> None:
    (tmp_path / "hyp.jsonl").write_text('{"id": "a", ' + odd + "}\n")
    with pytest.raises(DataError, match=r"hyp\.jsonl: is damaged") as error:
        read_records(tmp_path)
    assert error.value.remedy


def test_a_value_that_is_no_number_is_none(tmp_path: Path) -> None:
    words = '[{"word": "a", "start": "x", "end": true, "confidence": NaN}]'
    line = f'{{"id": "a", "text": "a", "confidence": "high", "words": {words}}}'
    (tmp_path / "hyp.jsonl").write_text(line + "\n")
    assert read_records(tmp_path)["a"] == HypothesisRecord("a", "a", words=(RecordedWord("a"),))
