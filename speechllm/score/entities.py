"""Entity error rate: how many of the annotated names, crops, drugs ... came through whole.

Definition, in percent: entities that are not wholly right / annotated entities. An entity is wholly
right if each of its words is aligned with the same word, and nothing is inserted between them.
2412.06967 reports an entity error rate (EER) without a formula; this one is ours. Entities pass
the same normaliser as the text. An annotation is the leftmost place of its words in the reference
that no equal annotation before it has taken; one that has no place is listed and not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.score.normalize import normalizer
from speechllm.score.wer import Score, Utterance


@dataclass(frozen=True)
class EntityCounts:
    """Annotated entities of a set, or of one type in it.

    Attributes:
        errors: [N] entities of each utterance that are not wholly right.
        reference: [N] annotated entities of each utterance.
    """

    errors: NDArray[np.int64]
    reference: NDArray[np.int64]

    @property
    def percent(self) -> float | None:
        """The entity error rate in percent; None when nothing is annotated."""
        total = self.reference.sum()
        return float(100 * self.errors.sum() / total) if total else None


@dataclass(frozen=True)
class EntityScore:
    """Entity errors of a set; utterances are in the order of the `Score` they come from.

    Attributes:
        overall: of all types.
        by_type: sorted by type.
        unplaced: ids of utterances with an entity whose words the reference does not hold.
    """

    overall: EntityCounts
    by_type: dict[str, EntityCounts]
    unplaced: tuple[str, ...]


def score_entities(
    score: Score, entities: Mapping[str, Sequence[Mapping[str, Any]]]
) -> EntityScore:
    """Count the entities that a scored set got wrong.

    Args:
        score: of the set.
        entities: utterance id -> list of `{"type": ..., "text": ...}` (the data dir's `entities`).

    Raises:
        ConfigError: unknown normaliser.
    """
    normalize = normalizer(score.normalizer)
    types = sorted({entity["type"] for listed in entities.values() for entity in listed})
    errors = {name: np.zeros(len(score.utterances), np.int64) for name in types}
    reference = {name: np.zeros(len(score.utterances), np.int64) for name in types}
    unplaced = []
    for i, utterance in enumerate(score.utterances):
        taken: set[tuple[str, int]] = set()
        for entity in entities.get(utterance.id, ()):
            words = normalize(entity["text"]).split()
            key = f"{entity['type']} {' '.join(words)}"
            place = _place(utterance, words, {at for name, at in taken if name == key})
            if place is None:
                unplaced.append(utterance.id)
                continue
            taken.add((key, place[0]))
            reference[entity["type"]][i] += 1
            errors[entity["type"]][i] += not _is_right(utterance, *place)
    nothing = np.zeros(len(score.utterances), np.int64)
    return EntityScore(
        EntityCounts(sum(errors.values(), nothing), sum(reference.values(), nothing)),
        {name: EntityCounts(errors[name], reference[name]) for name in types},
        tuple(dict.fromkeys(unplaced)),
    )


def _place(utterance: Utterance, words: list[str], taken: set[int]) -> tuple[int, int] | None:
    """First and last pair of the leftmost free occurrence of `words` in the reference."""
    spots = [i for i, (reference, _) in enumerate(utterance.pairs) if reference is not None]
    heard = [utterance.pairs[i][0] for i in spots]
    for start in range(len(spots) - len(words) + 1):
        first, last = spots[start], spots[start + len(words) - 1]
        if words and heard[start : start + len(words)] == words and first not in taken:
            return first, last
    return None


def _is_right(utterance: Utterance, first: int, last: int) -> bool:
    return all(ref == hyp for ref, hyp in utterance.pairs[first : last + 1])
