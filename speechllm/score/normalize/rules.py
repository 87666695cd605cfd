"""Normalisers are lists of rules: each a sentence for the reader and a function for the text.

So the printed rules and the code cannot drift apart. The two built-in normalisers are here.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from speechllm.data.dirs.forms import strip_punctuation

HESITATIONS = ("uh", "um", "uhm", "erm", "hm", "hmm", "mm", "mhm")
ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}
SYMBOLS = {"%": " percent ", "&": " and "}
# In this order: an irregular form before the ending that it contains. "'s" and "'d" have two
# readings each (is / has / possessive, would / had) and are left alone.
CONTRACTIONS = {
    r"\bwon't\b": "will not",
    r"\bcan't\b": "can not",
    r"\bcannot\b": "can not",
    r"\bshan't\b": "shall not",
    r"\blet's\b": "let us",
    r"(?<=\w)n't\b": " not",
    r"(?<=\w)'re\b": " are",
    r"(?<=\w)'ve\b": " have",
    r"(?<=\w)'ll\b": " will",
    r"(?<=\w)'m\b": " am",
}


@dataclass(frozen=True)
class Rule:
    """One step of a normaliser: what it does in words, and the function that does it.

    Attributes:
        says: what it does, in words.
        apply: function of the text that does it.
        words, pattern: what a rule of a rules file looks for; left out in other rules.
    """

    says: str
    apply: Callable[[str], str]
    words: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Normalizer:
    """Rules applied in order; the result has single spaces and none at the ends."""

    name: str
    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return self.name

    def __call__(self, text: str) -> str:
        for rule in self.rules:
            text = rule.apply(text)
        return text


def _expand_contractions(text: str) -> str:
    for pattern, full in CONTRACTIONS.items():
        text = re.sub(pattern, full, text)
    return text


def _spell_symbols(text: str) -> str:
    return text.translate(str.maketrans(SYMBOLS))


def _map_words(text: str) -> str:
    words = (ABBREVIATIONS.get(word, word) for word in text.split())
    return " ".join(word for word in words if word not in HESITATIONS)


UNICODE = Rule("Unicode NFC", lambda text: unicodedata.normalize("NFC", text))
WHITESPACE = Rule("runs of whitespace become one space", lambda text: " ".join(text.split()))

NORMALIZERS: dict[str, Normalizer] = {
    "plain": Normalizer("plain", (UNICODE, WHITESPACE)),
    "english": Normalizer(
        "english",
        (
            Rule("Unicode NFKC", lambda text: unicodedata.normalize("NFKC", text)),
            Rule("lower case", str.lower),
            Rule("curly apostrophes become '", lambda t: re.sub("[\u2018\u2019\u02bc]", "'", t)),
            Rule(
                "contractions are written out: won't, can't / cannot, shan't, let's, "
                "and the endings n't, 're, 've, 'll, 'm (not 's, not 'd)",
                _expand_contractions,
            ),
            Rule("% becomes percent, & becomes and", _spell_symbols),
            Rule(
                "commas inside numbers are removed; other punctuation and symbols become a space, "
                "except an apostrophe inside a word and a decimal point",
                strip_punctuation,
            ),
            Rule(
                "mr, mrs, dr, ok become mister, missus, doctor, okay; "
                f"hesitations are removed: {', '.join(HESITATIONS)}",
                _map_words,
            ),
            WHITESPACE,
        ),
    ),
}
