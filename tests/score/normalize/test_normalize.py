import sys
import unicodedata

import pytest

from speechllm.errors import ConfigError
from speechllm.score.normalize.normalize import describe, normalizer
from speechllm.score.normalize.openai_whisper import whisper_english
from speechllm.score.normalize.rules import NORMALIZERS


def test_plain_is_nfc_and_whitespace_and_nothing_else():
    plain = normalizer("plain")
    decomposed = unicodedata.normalize("NFD", "Café")
    assert plain(f"  {decomposed}\t\u3000It's,  OK! \n") == "Café It's, OK!"
    assert describe("plain") == ["Unicode NFC", "runs of whitespace become one space"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sugar-beet, and SILAGE.", "sugar beet and silage"),
        ("it's the farmers' 'own' rock \u2018n\u2019 roll", "it's the farmers own rock n roll"),
        (
            "I can't, cannot and won\u2019t; they're, we've, you'll, I'm",
            "i can not can not and will not they are we have you will i am",
        ),
        ("uh the um plough", "the plough"),
        ("human drum", "human drum"),
        ("1,000,000 or 3.5 or 1,2", "1000000 or 3.5 or 1 2"),
        ("Mr. Smith is OK", "mister smith is okay"),
        ("50% of salt&pepper", "50 percent of salt and pepper"),
        ("U.S.A. snake_case", "u s a snake case"),
        ("he'd say dog's", "he'd say dog's"),
        ("", ""),
        ("...", ""),
        ("नमस्ते", "नमस्ते"),
    ],
)
def test_english_rules(text, expected):
    assert normalizer("english")(text) == expected


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizing_twice_changes_nothing(name):
    text = "Mr. O'Neil's  “can't”, uh — 1,234.5% & e.g. they'd've; ½ ﬁn don't"
    once = normalizer(name)(text)
    assert normalizer(name)(once) == once


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'english'"):
        normalizer("englsh")


WHISPER_CASES = {
    "The colour of Mr. Smith's car, um, is twenty-five thousand dollars!": (
        "the color of mister smith is car is $25000"
    ),
    "one oh one; 274th [noise] (laughs) café": "101 274th cafe",
    "I'm gonna cause it 'cause I won't": None,  # versions from 0.1.2 on make "because" of "cause"
    "kinda sorta dunno": None,
    "two hundred and 5 point five percent of £3.50": None,
    "": "",
}


@pytest.mark.parametrize("text", WHISPER_CASES)
def test_whisper_english_is_openais(text):
    """transformers has OpenAI's code too, but not the spellings."""
    pytest.importorskip("whisper_normalizer", reason="whisper-normalizer is not installed")
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer
    from whisper_normalizer.english import EnglishSpellingNormalizer

    normalize = normalizer("whisper-english")
    theirs = EnglishTextNormalizer(EnglishSpellingNormalizer().mapping)
    assert normalize(text) == " ".join(theirs(text).split())
    if WHISPER_CASES[text] is not None:
        assert normalize(text) == WHISPER_CASES[text]
    assert "whisper-normalizer 0.1.1" in describe("whisper-english")[0]


def test_whisper_english_needs_its_package(monkeypatch):
    whisper_english.cache_clear()
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)
    with pytest.raises(ConfigError, match=r"pip install 'speechllm\[score\]'"):
        normalizer("whisper-english")
