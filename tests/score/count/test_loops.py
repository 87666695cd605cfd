import pytest

from speechllm.score.count.loops import empty, half_lost, is_loop, longest_repeat, looping
from speechllm.score.count.wer import score_texts


@pytest.mark.parametrize(
    ("words", "unit", "times"),
    [
        ("", 1, 1),
        ("a", 1, 1),
        ("a a a b", 1, 3),
        ("x a b a b a b a", 2, 3),
        ("a b c a b c", 3, 2),
        ("a b a c", 2, 1),
    ],
)
def test_longest_repeat(words, unit, times):
    assert longest_repeat(words.split(), unit) == times


@pytest.mark.parametrize(
    ("heard", "said", "loops"),
    [
        ("no no no", "no", False),  # anybody may say so
        ("no " * 6, "no", True),
        ("no " * 6, "no " * 6, False),  # and so it was said
        ("no " * 9, "no " * 6, True),
        ("i see i see i see", "i see", True),
        ("i see i see", "i see", False),
        ("so " + "thank you for watching " * 3, "so", True),
        ("one two three four five six", "one two three four five six", False),
        ("a b a c a d a e a f", "x", False),  # often, but not in a row
        ("", "a b", False),
    ],
)
def test_what_is_a_loop(heard, said, loops):
    assert is_loop(heard.split(), said.split()) == loops


def test_utterances_that_went_wrong():
    said = {"u1": "a b c d", "u2": "a b c d", "u3": "a b c d", "u4": "", "u5": "a"}
    heard = {"u1": "a a a a a a a", "u2": "a b", "u3": "", "u4": "", "u5": "x"}
    score = score_texts(said, heard)
    assert looping(score) == ["u1"]
    assert half_lost(score) == ["u2", "u3"]
    assert empty(score) == ["u3"]
