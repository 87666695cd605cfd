"""Text normalisers: applied to both sides before scoring, and named with every figure.

A normaliser is a list of rules, each a sentence for the reader and a function for the text, so
that what is printed (`describe`) and what is done cannot drift apart. There are `plain`, `english`
(both below), `whisper-english` (`whisper`) and files of rules (`rules_file`).
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from speechllm.data.forms import strip_punctuation
from speechllm.errors import ConfigError, did_you_mean

WHISPER = "whisper-english"
RULES_SUFFIXES = (".yaml", ".yml")

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
        words, pattern: what a rule of a file looks for, if it does.
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


def known_normalizers() -> list[str]:
    """Return the names of those that are not a file."""
    return [*NORMALIZERS, WHISPER]


def normalizer(name: str) -> Normalizer:
    """Return the normaliser called `name`, or that of a rules file (docs/scoring.md).

    Raises:
        ConfigError: no normaliser has that name, its package is missing, or the file is malformed.
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    if name == WHISPER:
        from speechllm.score.whisper import whisper_english

        return whisper_english()
    if name.endswith(RULES_SUFFIXES):
        from speechllm.score.rules_file import read_rules

        return read_rules(name)
    hint = did_you_mean(name, known_normalizers())
    raise ConfigError(f"no normaliser '{name}'{hint}", "or give a file of rules, x.yaml")


def describe(name: str) -> list[str]:
    """Return the rules of a normaliser, in the order in which they apply.

    Raises:
        ConfigError: as `normalizer`.
    """
    return [rule.says for rule in normalizer(name).rules]
