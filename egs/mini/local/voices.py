"""The speakers: an accent, a vocal tract, a usual rate and pitch. Test speakers are new voices.

One more is natural: a voice of Piper, which speaks sets of its own and is in no training.
"""

import itertools
import random
from dataclasses import dataclass

ACCENTS = ("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp")
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alex", "Alicia", "Andy", "Annie", "Gene", "Mike", "adam", "belinda", "david", "linda"),
    *("max", "norbert", "quincy", "robert", "steph", "travis"),
)
COUNTS = {"train": 60, "dev": 10, "test": 12}

# Of them, those that a recogniser of people makes out. Whisper base read 11 sentences of each of 29
# (en-us, at 150 and 190 words a minute): of these it got 10 to 19 % wrong, of the others 20 to 36.
CLEAR_ACCENTS = ("en-us", "en-gb")
CLEAR_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f3", "f5"),
    *("Alex", "Annie", "Gene", "Mike", "adam", "belinda", "david", "linda"),
    *("max", "quincy", "robert", "steph"),
)
CLEAR_COUNTS = {"train": 32, "dev": 6, "test": 8}


@dataclass(frozen=True)
class Speaker:
    """Rate in words a minute, pitch 0 to 99, as espeak takes them."""

    name: str
    accent: str
    variant: str
    rate: int
    pitch: int


NATURAL = Speaker("joe", "en-us", "piper", 0, 0)  # it has one rate and pitch


def speakers(clear: bool = False) -> list[Speaker]:
    """Return espeak-ng's speakers: of train, then dev, then test; no voice comes twice.

    Args:
        clear: the clear voices, at the pace of people who read aloud.
    """
    accents, variants = (CLEAR_ACCENTS, CLEAR_VARIANTS) if clear else (ACCENTS, VARIANTS)
    counts, slowest, fastest = (CLEAR_COUNTS, 125, 165) if clear else (COUNTS, 165, 220)
    rng = random.Random("speakers")
    voices = rng.sample(list(itertools.product(accents, variants)), sum(counts.values()))
    name = "clear" if clear else "spk"
    return [
        Speaker(f"{name}{i:03d}", *voice, rng.randint(slowest, fastest), rng.randint(30, 70))
        for i, voice in enumerate(voices)
    ]


def speakers_of(part: str, clear: bool = False) -> list[Speaker]:
    """Return the speakers of `train`, `dev`, `test` or `natural`."""
    if part == "natural":
        return [NATURAL]
    everyone = iter(speakers(clear))
    counts = CLEAR_COUNTS if clear else COUNTS
    groups = {name: list(itertools.islice(everyone, count)) for name, count in counts.items()}
    return groups[part]
