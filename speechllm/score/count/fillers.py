"""Which entity of an answer stands for which of the reference, and how far their fillers differ.

The rules are those of SLURP's scorer (see `speechllm.score.count.slu`). Fillers come lower-cased,
with single blanks.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import jiwer

Entity = tuple[str, str]
"""Type and filler."""
Found = tuple[str, float, float, float]
"""Type, and what is to be added to its true positives, false positives and false negatives."""


@lru_cache(maxsize=100_000)
def word_distance(reference: str, filler: str) -> float:
    """WER of a filler, as a ratio: above 1 where much was inserted.

    A normaliser may leave nothing of a filler: then they are equal (0) or wholly different (1).
    """
    return jiwer.wer(reference, filler) if reference else float(bool(filler))


@lru_cache(maxsize=100_000)
def character_distance(reference: str, filler: str) -> float:
    """Levenshtein distance over the length of the longer one: 0 to 1."""
    if not (reference and filler):
        return float(reference != filler)
    found = jiwer.process_characters(reference, filler)
    errors = found.substitutions + found.deletions + found.insertions
    return errors / max(len(reference), len(filler))


def equal(reference: Sequence[Entity], answer: Sequence[Entity]) -> Iterator[Found]:
    """Count entities as right if type and filler are equal, each reference once."""
    free = list(reference)
    for entity in answer:
        if entity in free:
            free.remove(entity)
            yield entity[0], 1, 0, 0
        else:
            yield entity[0], 0, 1, 0
    for kind, _ in free:
        yield kind, 0, 0, 1


def nearest(
    reference: Sequence[Entity], answer: Sequence[Entity], distance: Callable[[str, str], float]
) -> Iterator[Found]:
    """Count entities of equal type as right, but for the distance of their fillers.

    In the order of the answer each takes the nearest that is free, of several the first.
    """
    free = list(reference)
    for kind, filler in answer:
        places = [place for place, entity in enumerate(free) if entity[0] == kind]
        if places:
            away = [distance(free[place][1], filler) for place in places]
            best = min(range(len(places)), key=away.__getitem__)
            free.pop(places[best])
            yield kind, 1, away[best], away[best]
        else:
            yield kind, 0, 1, 0
    for kind, _ in free:
        yield kind, 0, 0, 1
