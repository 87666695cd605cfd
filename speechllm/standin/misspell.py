"""Text as badly aligned speech might look to the LLM: misspelt, spelt out, stretched, run together.

The stand-in LLM learns to mend it, so that it copies what it is given instead of guessing from
context. Made-up words see to it that copying is the only way.
"""

import random
from collections.abc import Callable, Sequence

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SOUND_ALIKE = [
    *("c k", "s z", "t d", "p b", "f v", "k g", "m n", "i y", "e i", "o u", "a e", "w v", "j g"),
    *("ph f", "ee ea", "ou ow", "ai ay", "er or", "sh ch", "th d", "ks x", "kw qu", "ck k"),
    *("oo u", "ie y", "ea e", "wh w", "kn n", "wr r", "ng n", "tion shun", "igh i", "dge j"),
]
"""Spellings that take each other's place."""

_SWAPS: dict[str, list[str]] = {}
for _pair in SOUND_ALIKE:
    _one, _other = _pair.split()
    _SWAPS.setdefault(_one, []).append(_other)
    _SWAPS.setdefault(_other, []).append(_one)
_LONGEST = max(map(len, _SWAPS))


def garble(text: str, rng: random.Random, strength: float) -> str:
    """Misspell: each letter is, with chance `strength`, swapped, dropped, repeated or cut off."""
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
    """What the letters at `place` may be taken for, and how many of them."""
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
    """Repeat each token 1 to `most` times, as a token's sound spans several frames."""
    return [token for token in tokens for _ in range(rng.randint(1, most))]


def spell_out(
    text: str, tokens_of: Callable[[str], Sequence[int]], rng: random.Random, rate: float
) -> list[int]:
    """Token ids of `text` in which a share `rate` of the words is spelt character by character."""
    tokens: list[int] = []
    for i, word in enumerate(text.split(" ")):
        word = f" {word}" if i else word
        parts = word if rng.random() < rate else [word]
        for part in parts:
            tokens += tokens_of(part)
    return tokens


def with_made_up_words(text: str, words: Sequence[str], rng: random.Random, rate: float) -> str:
    """Replace a share `rate` of the words by the head of one of `words` and the tail of another."""

    def made_up() -> str:
        one, other = rng.choice(words), rng.choice(words)
        return one[: rng.randint(1, len(one))] + other[rng.randint(0, len(other) - 1) :]

    return " ".join(made_up() if rng.random() < rate else word for word in text.split(" "))
