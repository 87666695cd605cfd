import random
from collections import Counter

import pytest

from speechllm.slot.text.confusions import END, START, Confusions, aligned


def test_an_alignment_by_hand() -> None:
    assert aligned("the cow", "speech thee ow and") == [
        *((START, "speech "), ("t", "t"), ("h", "h"), ("e", "ee"), (" ", " ")),
        *(("c", ""), ("o", "o"), ("w", "w"), (END, " and")),
    ]
    assert aligned("ab", "xb") == [(START, ""), ("a", "x"), ("b", "b"), (END, "")]
    assert aligned("ab", "") == [(START, ""), ("a", ""), ("b", ""), (END, "")]
    assert aligned("", "anything") == []


def test_every_letter_of_the_projected_text_stands_somewhere() -> None:
    rng = random.Random(0)
    for _ in range(200):
        one, two = ("".join(rng.choices("abc ", k=rng.randint(1, 12))).strip() for _ in range(2))
        pairs = aligned(one, two)
        if one:
            assert "".join(found for _, found in pairs) == two
            assert [letter for letter, _ in pairs] == [START, *one, END]


def test_letters_become_what_they_became_as_often() -> None:
    """Of four a, three became x and one vanished."""
    noise = Confusions([("aab", "xxb"), ("aab", "xb")])
    rng = random.Random(0)
    drawn = Counter(noise.corrupt("a", rng) for _ in range(4000))
    assert drawn["x"] / 4000 == pytest.approx(0.75, abs=0.02)
    assert drawn.keys() == {"x", ""}


def test_letters_that_were_never_heard_stay() -> None:
    assert Confusions([("ab", "ab")]).corrupt("abz", random.Random(0)) == "abz"


def test_equal_seeds_give_equal_noise_whatever_the_order_of_pairs() -> None:
    pairs = [("the cow", "th kow"), ("the hat", "de hat"), ("cat", "kat")]
    one = Confusions(pairs).corrupt("the cat", random.Random(5))
    two = Confusions(reversed(pairs)).corrupt("the cat", random.Random(5))
    assert one == two
