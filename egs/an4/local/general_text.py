"""Random general text: letters, numbers and made-up words, in English spelling."""

import random
from collections.abc import Callable


def _words(text: str) -> list[str]:
    return text.split()


ONSETS = _words(
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sc sh sk sl sm sn sp st "
    "str sw t th thr tr tw v w wh y z"
)
NUCLEI = _words("a e i o u ai ay ea ee ie oa oo ou ow ar er ir or ur aw ew igh")
CODAS = _words(
    "b ck d f g k l m n ng nd nt nk mp p r s sh st t th v x z ll ss ct ft lt lk rk rm rn"
)
LETTERS = _words("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z")
UNITS = _words("zero oh one two three four five six seven eight nine")
TEENS = _words("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")


def made_up_word(rng: random.Random) -> str:
    """One to three syllables."""
    syllables = rng.choices((1, 2, 3), (4, 4, 1))[0]
    return "".join(
        rng.choice(ONSETS) * (rng.random() < 0.85)
        + rng.choice(NUCLEI)
        + rng.choice(CODAS) * (rng.random() < 0.6)
        for _ in range(syllables)
    )


def number(rng: random.Random) -> str:
    """A digit, a number up to ninety nine, or a few hundred or thousand."""
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(UNITS)
    if kind < 0.7:
        return rng.choice(TEENS)
    if kind < 0.8:
        return rng.choice(TENS)
    if kind < 0.94:
        return f"{rng.choice(TENS)} {rng.choice(UNITS[2:])}"
    return f"{rng.choice(UNITS[2:])} {rng.choice(('hundred', 'thousand'))}"


def letter(rng: random.Random) -> str:
    """A letter."""
    return rng.choice(LETTERS)


PIECES: dict[str, tuple[Callable[[random.Random], str], ...]] = {
    "strings": (letter, number),
    "words": (letter, number, made_up_word),
}
"""What the utterances of a general set are made of."""


def utterance(kind: str, rng: random.Random) -> str:
    """Two to eight pieces in no order, of each sort more or less."""
    pieces = PIECES[kind]
    weights = [rng.random() + 0.05 for _ in pieces]
    return " ".join(piece(rng) for piece in rng.choices(pieces, weights, k=rng.randint(2, 8)))
