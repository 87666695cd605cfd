"""Garbled text, as badly aligned speech may look to an LLM: misspelt, spelt out, run together.

The stand-in LLM learns to correct it, so that it copies the slot instead of guessing from context.
Made-up words cannot be guessed, only copied.
"""

import random
from collections.abc import Callable, Sequence

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SOUND_ALIKE = [
    *("c k", "s z", "t d", "p b", "f v", "k g", "m n", "i y", "e i", "o u", "a e", "w v", "j g"),
    *("ph f", "ee ea", "ou ow", "ai ay", "er or", "sh ch", "th d", "ks x", "kw qu", "ck k"),
    *("oo u", "ie y", "ea e", "wh w", "kn n", "wr r", "ng n", "tion shun", "igh i", "dge j"),
]
"""Pairs of spellings that may replace each other."""

_SWAPS: dict[str, list[str]] = {}
for _pair in SOUND_ALIKE:
    _one, _other = _pair.split()
    _SWAPS.setdefault(_one, []).append(_other)
    _SWAPS.setdefault(_other, []).append(_one)
_LONGEST = max(map(len, _SWAPS))


def garble(text: str, rng: random.Random, strength: float) -> str:
    """Misspell a text: swap, drop or repeat letters, or put a space after them.

    Args:
        text: the text.
        rng: source of chance.
        strength: probability that a letter (or a spelling of `SOUND_ALIKE`) is changed.
    """
    out: list[str] = []
    place = 0
    while place < len(text):
        size, heard = _heard(text, place, rng)
        if rng.random() >= strength:
            heard = text[place : place + size]
        out.append(heard)
        place += size
    return "".join(out)


def _heard(text: str, place: int, rng: random.Random) -> tuple[int, str]:
    """Draw a misspelling of the letters at `place`: how many letters, and their replacement."""
    size = next(n for n in range(_LONGEST, 0, -1) if n == 1 or text[place : place + n] in _SWAPS)
    letters = text[place : place + size]
    what = rng.random()
    if letters == " ":
        return 1, ""
    if what < 0.45 and letters in _SWAPS:
        return size, rng.choice(_SWAPS[letters])
    if what < 0.60:
        return size, ""
    if what < 0.75:
        return size, letters + " "
    if what < 0.90:
        return size, letters * rng.randint(2, 3)
    return size, rng.choice(LETTERS)


def stretch(tokens: Sequence[int], rng: random.Random, most: int) -> list[int]:
    """Repeat each token 1 to `most` times, since the sound of a token spans several frames.

    Args:
        tokens: token ids.
        rng: source of chance.
        most: largest number of repeats.
    """
    return [token for token in tokens for _ in range(rng.randint(1, most))]


def spell_out(
    text: str, tokens_of: Callable[[str], Sequence[int]], rng: random.Random, rate: float
) -> list[int]:
    """Tokenise a text, with some of its words spelt character by character.

    Args:
        text: the text.
        tokens_of: tokenises a part of the text.
        rng: source of chance.
        rate: share of the words that are spelt.
    """
    tokens: list[int] = []
    for i, word in enumerate(text.split(" ")):
        word = f" {word}" if i else word
        parts = word if rng.random() < rate else [word]
        for part in parts:
            tokens += tokens_of(part)
    return tokens


def with_made_up_words(text: str, words: Sequence[str], rng: random.Random, rate: float) -> str:
    """Replace some words of a text by the head of one known word and the tail of another.

    Args:
        text: the text.
        words: known words, to make words of.
        rng: source of chance.
        rate: share of the words that are replaced.
    """

    def made_up() -> str:
        one, other = rng.choice(words), rng.choice(words)
        return one[: rng.randint(1, len(one))] + other[rng.randint(0, len(other) - 1) :]

    return " ".join(made_up() if rng.random() < rate else word for word in text.split(" "))
