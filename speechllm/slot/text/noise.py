"""Text corruption: transcripts changed as a weak recogniser might change them."""

import random
import string
from collections.abc import Callable

from speechllm.config import NoiseConfig

__all__ = ["NoiseConfig", "corrupt"]

KINDS_OF_LETTERS = ("AEIOUY", "BCDFGHJKLMNPQRSTVWXZ", "aeiouy", "bcdfghjklmnpqrstvwxz")


def corrupt(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    """Corrupt a transcript.

    Kinds: `naive` substitutes characters in a few long words, then repeats letters; `misspelt`
    drops, replaces or inserts letters; `random` replaces the text by as many random letters and
    spaces; `echo` keeps it; `empty` drops it. `projector` is not among them, as it is learnt from
    pairs (speechllm.slot.text.confusions).

    Args:
        text: a transcript.
        noise: the kind and its constants.
        rng: the only source of chance, so that equal seeds give equal text.
    """
    return _KINDS[noise.kind](text, noise, rng)


def _naive(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    return _duplicate(_substitute(text, noise, rng), noise, rng)


def _substitute(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    words = text.split()
    long_words = [i for i, word in enumerate(words) if len(word) >= noise.min_word_length]
    wanted = _count(noise.word_rate, len(words), noise.max_words)
    for i in rng.sample(long_words, min(wanted, len(long_words))):
        chars = list(words[i])
        for j in rng.sample(
            range(len(chars)), _count(noise.char_rate, len(chars), noise.max_chars)
        ):
            chars[j] = rng.choice(noise.alphabet)
        words[i] = "".join(chars)
    return " ".join(words)


def _duplicate(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    out = []
    for char in text:
        repeats = 1
        if char.isalpha() and rng.random() < noise.duplicate_rate:
            repeats += rng.randint(1, noise.max_repeats)
        out.append(char * repeats)
    return "".join(out)


def _count(rate: float, size: int, most: int) -> int:
    """ceil(rate * size), at least 1 where the rate is not 0, at most `most` and `size`."""
    if rate == 0 or size == 0:
        return 0
    return min(size, most, max(1, -int(-rate * size // 1)))


def _random(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_letters + " ") for _ in text)


def _misspell(text: str, noise: NoiseConfig, rng: random.Random) -> str:
    """Drop a letter, replace it by one of its kind, or insert one after it; equally often."""
    out = []
    for char in text:
        kind = next((k for k in KINDS_OF_LETTERS if char in k), "")
        if not kind or rng.random() >= noise.char_rate:
            out.append(char)
            continue
        change = rng.randrange(3)
        if change:
            out.append(rng.choice(kind) if change == 1 else char + rng.choice(kind))
    return " ".join("".join(out).split()) or text


_KINDS: dict[str, Callable[[str, NoiseConfig, random.Random], str]] = {
    "naive": _naive,
    "misspelt": _misspell,
    "random": _random,
    "echo": lambda text, noise, rng: text,
    "empty": lambda text, noise, rng: "",
}
