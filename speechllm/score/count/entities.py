"""Entity metrics: how many annotated names, crops, drugs ... are recognised, and how many invented.

2412.06967 reports an entity error rate (EER) without a formula; these definitions are ours, and
docs/scoring.md has them in full.

* Entity error rate = word errors in entities / entity words. The words of an entity are those of
  its place in the reference; substituted and deleted ones are errors, and so is each word that is
  inserted between two of them. A word in several annotations counts once (in each type once).
* An entity is right if its words hold no such error: recall = right / annotated.
* A false entity is a string of the set's inventory (all strings annotated with its type, in any
  utterance) that the hypothesis holds where the reference does not; the longest is taken, from the
  left, outside of the words of entities that are right. One that was said though nobody annotated
  it is neither right nor false. precision = right / (right + false), F1 = 2 right / (2 right +
  missed + false).

Entities pass the normaliser of the text. An annotation is the leftmost place of its words in the
reference that no equal annotation before it has taken; one that has no place is listed and not
counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.score.count.phrases import Phrases
from speechllm.score.count.wer import AlignedUtterance, WordScore

COLUMNS = ("errors", "reference", "right", "annotated", "false")


@dataclass(frozen=True)
class EntityCounts:
    """Entities of a set, or of one type in it, for each of its N utterances.

    Attributes:
        errors: [N] word errors in entities.
        reference: [N] entity words.
        right: [N] annotated entities that are wholly right.
        annotated: [N] annotated entities.
        false: [N] entities of the hypothesis that were not said.
    """

    errors: NDArray[np.int64]
    reference: NDArray[np.int64]
    right: NDArray[np.int64]
    annotated: NDArray[np.int64]
    false: NDArray[np.int64]

    @property
    def percent(self) -> float | None:
        """The entity error rate in percent; None when nothing is annotated."""
        return _percent(self.errors, self.reference)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and precision, in percent."""
        return _percent(2 * self.right, self.annotated + self.right + self.false)


@dataclass(frozen=True)
class EntityScore:
    """Entities of a set; utterances are in the order of the `WordScore` they come from.

    Attributes:
        overall: counts of all types together.
        by_type: counts of each type, sorted by type.
        unplaced: utterance -> texts of annotated entities that its reference does not hold.
    """

    overall: EntityCounts
    by_type: dict[str, EntityCounts]
    unplaced: dict[str, list[str]]


def score_entities(
    score: WordScore, entities: Mapping[str, Sequence[Mapping[str, Any]]]
) -> EntityScore:
    """Count the entities of a scored set.

    Args:
        score: word score of the set.
        entities: utterance id -> list of `{"type": ..., "text": ...}` (the data dir's `entities`).
    """
    texts = {entity["text"] for listed in entities.values() for entity in listed}
    words_of = {text: tuple(score.normalizer(text).split()) for text in texts}
    strings: dict[str, set[tuple[str, ...]]] = {}
    for listed in entities.values():
        for entity in listed:
            strings.setdefault(entity["type"], set()).add(words_of[entity["text"]])
    inventory = {kind: Phrases(strings[kind]) for kind in sorted(strings)}

    counts = {kind: np.zeros((len(score.utterances), 5), np.int64) for kind in inventory}
    overall = np.zeros((len(score.utterances), 5), np.int64)
    unplaced: dict[str, list[str]] = {}
    for i, utterance in enumerate(score.utterances):
        spots = _Spots(utterance)
        placed: dict[str, list[range]] = {}
        taken: set[tuple[str, tuple[str, ...], int]] = set()
        for entity in entities.get(utterance.id, ()):
            kind, words = entity["type"], words_of[entity["text"]]
            starts = (s for s in spots.starts(words) if (kind, words, s) not in taken)
            start = next(starts, None)
            if start is None:
                unplaced.setdefault(utterance.id, []).append(entity["text"])
                continue
            taken.add((kind, words, start))
            placed.setdefault(kind, []).append(spots.pairs_between(start, start + len(words)))
        for kind in inventory:
            found = placed.get(kind, [])
            right = [place for place in found if spots.is_right(place)]
            counts[kind][i] = (
                *spots.word_errors(found),
                *(len(right), len(found), spots.count_false(inventory[kind], right)),
            )
            overall[i, 2:] += counts[kind][i, 2:]
        overall[i, :2] = spots.word_errors([p for found in placed.values() for p in found])
    by_type = {kind: EntityCounts(*table.T) for kind, table in counts.items()}
    return EntityScore(EntityCounts(*overall.T), by_type, unplaced)


class _Spots:
    """Positions of the words of both sides in an utterance's alignment."""

    def __init__(self, utterance: AlignedUtterance):
        self.pairs = utterance.pairs
        self.reference = [i for i, (ref, _) in enumerate(self.pairs) if ref is not None]
        self.hypothesis = [i for i, (_, hyp) in enumerate(self.pairs) if hyp is not None]
        self.said = [self.pairs[i][0] for i in self.reference]

    def starts(self, words: tuple[str, ...]) -> list[int]:
        """Positions among the reference words at which `words` stand."""
        last = len(self.said) - len(words) + 1 if words else 0
        return [s for s in range(last) if tuple(self.said[s : s + len(words)]) == words]

    def pairs_between(self, start: int, stop: int) -> range:
        """Pairs of the reference words from `start` up to `stop`, with insertions between them."""
        return range(self.reference[start], self.reference[stop - 1] + 1)

    def is_right(self, place: range) -> bool:
        return all(self.pairs[i][0] == self.pairs[i][1] for i in place)

    def word_errors(self, places: Sequence[range]) -> tuple[int, int]:
        """Errors and reference words in the union of `places`."""
        pairs = [self.pairs[i] for i in {i for place in places for i in place}]
        return sum(ref != hyp for ref, hyp in pairs), sum(ref is not None for ref, _ in pairs)

    def count_false(self, inventory: Phrases, right: Sequence[range]) -> int:
        """Number of strings of the inventory that are in the hypothesis and were not said."""
        covered = {i for place in right for i in place}
        free = [None if i in covered else self.pairs[i][1] for i in self.hypothesis]
        found = (
            range(self.hypothesis[start], self.hypothesis[stop - 1] + 1)
            for start, stop in inventory.find(free)
        )
        return sum(not self.is_right(place) for place in found)


def _percent(part: NDArray[np.int64], whole: NDArray[np.int64]) -> float | None:
    total = whole.sum()
    return float(100 * part.sum() / total) if total else None
