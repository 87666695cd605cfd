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


@dataclass(frozen=True)
class Speaker:
    """Rate in words a minute, pitch 0 to 99, as espeak takes them."""

    name: str
    accent: str
    variant: str
    rate: int
    pitch: int


NATURAL = Speaker("joe", "en-us", "piper", 0, 0)  # it has one rate and pitch


def speakers() -> list[Speaker]:
    """Return espeak-ng's speakers: of train, then dev, then test; no voice comes twice."""
    rng = random.Random("speakers")
    voices = rng.sample(list(itertools.product(ACCENTS, VARIANTS)), sum(COUNTS.values()))
    return [
        Speaker(f"spk{i:03d}", accent, variant, round(rng.randint(165, 220) * 0.75), rng.randint(30, 70))
        for i, (accent, variant) in enumerate(voices)
    ]


def speakers_of(part: str) -> list[Speaker]:
    """Return the speakers of `train`, `dev`, `test` or `natural`."""
    if part == "natural":
        return [NATURAL]
    everyone = iter(speakers())
    groups = {name: list(itertools.islice(everyone, count)) for name, count in COUNTS.items()}
    return groups[part]
