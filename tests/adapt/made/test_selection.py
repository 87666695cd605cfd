from pathlib import Path

import pytest

from speechllm.adapt.made.selection import Filters, Recognised, odd_phrases, read_phrases, select
from speechllm.errors import ConfigError

HEARD = {
    "a": Recognised("sell the old Tractor", False, -0.1, 0.0),
    "b": Recognised("rain falls", False, -0.9, 0.05),
    "c": Recognised("rain rain rain", True, -0.2, 0.5),
    "d": Recognised("", False, -0.1, 1.0),
    "e": Recognised("tractors", False, -0.3, 0.2),
}


def kept(**filters: object) -> list[str]:
    return select(HEARD, Filters(**filters), ["tractor", "old tractor", "rain falls"])[0]


def test_without_filters_only_empty_and_truncated_hypotheses_go() -> None:
    assert kept() == ["a", "b", "e"]
    assert kept(truncated=True) == ["a", "b", "c", "e"]


def test_each_filter_by_itself() -> None:
    assert kept(min_log_prob=-0.3) == ["a", "e"]
    assert kept(max_disagreement=0.05) == ["a", "b"]
    assert kept(phrases="list") == ["a", "b"]  # whole words, whatever the case


def test_phrases_that_hypotheses_hold_with_other_punctuation_are_told() -> None:
    assert odd_phrases(HEARD, ["tractor", "rain falls", "zebra"]) is None
    assert odd_phrases(HEARD, []) is None
    said = odd_phrases(HEARD, ["tractor.", "rain falls", "zebra"])
    assert said == (
        "1 of 3 phrases stand in the hypotheses as they are written, 1 more would without "
        "punctuation ('tractor.' is 'tractor' there)"
    )


def test_the_report_counts_what_each_filter_alone_lets_pass() -> None:
    filters = Filters(min_log_prob=-0.3, max_disagreement=0.2, phrases="list")
    ids, report = select(HEARD, filters, ["tractor"])
    assert ids == ["a"]
    assert report == {
        "heard": 5,
        "passed": {
            "answers": 4,
            "not_truncated": 4,
            "log_prob": 4,
            "agreement": 3,
            "phrases": 1,
        },
        "kept": 1,
    }


def test_phrases_are_read_in_lower_case(tmp_path: Path) -> None:
    (tmp_path / "phrases").write_text("Old  Tractor\n\nrain\n")
    assert read_phrases(str(tmp_path / "phrases")) == ["old tractor", "rain"]


def test_an_unusable_list_of_phrases_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name, message in (("nowhere", "cannot be read"), ("empty", "holds no phrase")):
        with pytest.raises(ConfigError, match=rf"keep\.phrases: .*{message}"):
            read_phrases(str(tmp_path / name))
