"""Characters that nobody sees: which, where, and what they leave behind."""

import pytest

from speechllm.data.dirs.characters import code, unseen, without_unseen


@pytest.mark.parametrize(
    ("text", "said", "mended"),
    [
        ("you\x85can", "U+0085, column 4", "you can"),
        ("you \u2028 can", "U+2028, column 5", "you can"),
        ("a\tb", "U+0009, column 2", "a b"),
        ("we\0", "U+0000, column 3", "we"),
        ("\ufeffwe", "U+FEFF, column 1", "we"),
        ("hy\u00adphen", "U+00AD, column 3", "hyphen"),
        ("left\u200e \u202eright\u202c", "U+200E, column 5", "left right"),
        ("a\u2066b\u2069", "U+2066, column 2", "ab"),
        ("a\u2060b", "U+2060, column 2", "ab"),
        ("x\u200dy", "U+200D, column 2", "xy"),
        ("auf\u200clage", "U+200C, column 4", "auflage"),
        ("heart\ufe0f", "U+FE0F, column 6", "heart"),
        ("hi\U000e0068\U000e0069", "U+E0068, column 3", "hi"),
        ("a\u3164b", "U+3164, column 2", "a b"),
        ("we\u200bbundle", "U+200B, column 3", "we\u200bbundle"),
        ("cafe\x92s", "U+0092, column 5", "cafe\x92s"),
        ("a\x1b[31mb", "U+001B, column 2", "a\x1b[31mb"),
        ("lost \ufffd", "U+FFFD, column 6", "lost \ufffd"),
    ],
)
def test_what_nobody_sees_is_found_and_mended(text: str, said: str, mended: str) -> None:
    found = unseen(text)
    assert str(found[0]) == said
    assert without_unseen(text) == mended
    assert all(odd.by_hand for odd in found if odd.instead is None)
    assert [o.instead for o in unseen(mended)] == [None] * len(unseen(mended))


@pytest.mark.parametrize(
    "text",
    [
        "ordinary words, naïve – “quoted”… 1\u00a0000",
        "می\u200cخواهم",  # Persian: a prefix that is not joined
        "क्\u200dष",  # Devanagari: a half form
        "ශ්\u200dරී",  # Sinhala
        "\U0001f469\u200d❤\ufe0f\u200d\U0001f468",  # emoji, joined
        "1\ufe0f\u20e3 ©\ufe0f",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",  # a flag
        "葛\U000e0100",  # a variant of an ideograph
        "ភាសា\u200bខ្មែរ",  # Khmer: words without blanks
        "cafe\u0301",
    ],
)
def test_what_is_spelling_stays(text: str) -> None:
    assert unseen(text) == []
    assert without_unseen(text) == text


def test_misread_quotes_are_named() -> None:
    (odd,) = unseen("cafe\x92s")
    assert odd.by_hand.endswith("U+0092 is meant for ’")
    assert code("\0") == "U+0000"
