"""What a rough transcript picks from a bias list."""

import random

import pytest

from speechllm.slot.text.hotwords import Hotwords, SpelledHotwords, sound, spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("knight", "night"),
        ("phone", "fone"),
        ("cereal", "serial"),
        ("bat", "pad"),
        ("xylem", "ksilem"),
    ],
)
def test_words_that_sound_alike_have_one_key(one: str, other: str) -> None:
    assert sound(one) == sound(other)


def test_words_that_do_not_sound_alike_have_two() -> None:
    assert sound("maize") != sound("barley")
    assert spelling("New-York's") == "newyorks"
    assert sound("小麦") == "小麦"


def test_the_nearest_come_first_and_far_ones_not_at_all() -> None:
    words = Hotwords(["aphids", "sugar beet", "cowpea", "tractor", "apathy"])
    assert words.near("the shugar beat has a fids", 5, 0.6) == ["sugar beet", "aphids"]
    assert words.near("the price of cow pea", 5, 0.6) == ["cowpea"]
    assert words.near("sugar beet and aphids", 1, 0.6) == ["aphids"]  # both exact: by name
    assert words.near("", 5, 0.6) == [] and Hotwords([]).near("a", 5, 0.6) == []
    assert words.near("...", 5, 0.6) == []


def test_symbols_are_searched_as_stretches() -> None:
    words = SpelledHotwords({"teff": [5, 6, 7], "rye": [1, 2], "odd": []})
    assert words.near([9, 9, 5, 6, 7, 9], 5, 0.9) == ["teff"]
    assert words.near([], 5, 0.9) == []


def test_the_near_ones_are_found_in_long_lists() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(7, 11))) for _ in range(100_000)]
    hotwords = Hotwords([*words, "sugar beet"])
    found = hotwords.near("how much does the shugar bete cost in a dry year", 20, 0.7)
    assert "sugar beet" in found and len(found) <= 20
