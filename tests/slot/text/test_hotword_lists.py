"""Bias lists for training: what is on them, and that they are a function of text and chance."""

import random
from collections import Counter

import pytest

from speechllm.config import parse
from speechllm.slot.text.hotword_lists import HotwordLists, HotwordListsConfig

TEXTS = [
    *["the cow eats the grass"] * 5,
    "the aphids eat the barley",
    "the parsley and the thistle",
    "the badger and the beaver",
    "the barney of the parcel",
    "the apple of the maple",
]


def lists(**settings: object) -> HotwordLists:
    return HotwordLists(TEXTS, parse(HotwordListsConfig, {"common": 4, **settings}, "test"))


def draw(made: HotwordLists, text: str, times: int = 200) -> list[list[str]]:
    return [made.draw(text, random.Random(seed)) for seed in range(times)]


def test_rare_words_of_the_utterance_are_on_the_list_and_common_ones_never() -> None:
    made = lists(empty=0.0, keep=1.0)
    assert made.common == {"the", "cow", "eats", "grass"}
    for drawn in draw(made, "the aphids eat the cow"):
        assert {"aphids", "eat"} <= set(drawn) and not made.common & set(drawn)
        assert len(drawn) == len(set(drawn)) <= 20


def test_words_that_no_text_has_count_as_rare() -> None:
    assert all("zebra" in drawn for drawn in draw(lists(empty=0.0, keep=1.0), "the zebra"))


def test_some_lists_are_empty_and_some_lack_what_was_said() -> None:
    drawn = draw(lists(empty=0.3, keep=0.5, most=5), "the aphids", 1000)
    empty = sum(not one for one in drawn)
    assert 250 < empty < 350
    kept = sum("aphids" in one for one in drawn) / (len(drawn) - empty)
    assert 0.45 < kept < 0.55
    assert {len(one) for one in drawn} == {0, 1, 2, 3, 4, 5}


def test_near_distractors_are_like_what_was_said() -> None:
    near = draw(lists(empty=0.0, keep=0.0, near=1.0, most=1), "barley", 300)
    assert "thistle" not in {one[0] for one in near if one}
    counts = Counter(one[0] for one in near if one)
    assert counts["parsley"] > 0 and counts["barney"] > 0
    far = draw(lists(empty=0.0, keep=0.0, near=0.0, most=1), "barley", 200)
    assert {"apple", "thistle"} <= {one[0] for one in far}


def test_equal_chance_gives_equal_lists() -> None:
    one, other = (draw(lists(), "the aphids eat the barley") for _ in range(2))
    assert one == other and len({tuple(drawn) for drawn in one}) > 100


@pytest.mark.parametrize("text", ["", "the cow"])
def test_without_anything_rare_there_is_no_fault(text: str) -> None:
    everything = HotwordLists(TEXTS, HotwordListsConfig())
    assert everything.rare == []
    assert all(drawn == [] for drawn in draw(everything, text, 20))
