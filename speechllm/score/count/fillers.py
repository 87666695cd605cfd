"""Match the entities of an answer with those of the reference, by type and by distance of fillers.

The rules are those of SLURP's scorer (see `speechllm.score.count.slu`). Fillers are lower-cased and
have single blanks.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import jiwer

Entity = tuple[str, str]
"""Type and filler."""
Found = tuple[str, float, float, float]
"""Type, and amounts to add to its true positives, false positives and false negatives."""


@lru_cache(maxsize=100_000)
def word_distance(reference: str, filler: str) -> float:
    """WER of a filler, as a ratio; above 1 if much was inserted.

    If the normaliser leaves nothing of the reference: 0 if it leaves nothing of the filler, else 1.
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
    """Count entities as right if type and filler are equal; each reference is matched once."""
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
    """Count entities of equal type as right, with the distance of their fillers as an error.

    In the order of the answer, each entity takes the nearest free one of its type in the
    reference; of several the first.

    Args:
        reference: entities of the reference.
        answer: entities of the answer.
        distance: distance of two fillers, the reference's first.
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
