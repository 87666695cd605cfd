"""Result of every task's scorer: errors of each utterance, and the denominator of their rate.

An error rate is a ratio of sums. Its denominator may be the same for all systems (reference words,
utterances) or each system's own, as with an F1: with errors FP + FN and denominator 2 TP + FP + FN,
100 - F1 is an error rate like any other. Counts may be fractions.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.score.count.entities import EntityCounts, score_entities
from speechllm.score.count.wer import WordScore


@dataclass(frozen=True)
class Rate:
    """An error rate of a set.

    Attributes:
        errors: [N] errors of each utterance.
        reference: [N] denominators of the errors, such as reference words.
        is_common: whether `reference` is independent of the hypotheses.
    """

    errors: NDArray[Any]
    reference: NDArray[Any]
    is_common: bool = True

    @property
    def percent(self) -> float | None:
        """Sum of errors over sum of denominators, in percent; None if the latter is 0."""
        total = self.reference.sum()
        return float(100 * self.errors.sum() / total) if total else None


@dataclass(frozen=True)
class Counted:
    """Hypotheses of a set, counted by a task.

    Attributes:
        ids: ids of the references, sorted: the order of all arrays.
        rates: error rates by the keys of the task's metrics.
        answers_key: the recognised answers; equal for hypotheses that scoring cannot tell apart.
        missing: ids of references without hypothesis.
        by_type: rates of the task's second metric, by type (of entities).
        words: word alignments, if answers are words; tests then look inside utterances.
        remarks: notes on the hypotheses for the reader of a report -> what each is about.
        set_remarks: notes on the set that hold for any hypotheses -> what each is about.
        extra: further contents of the score file.
    """

    ids: tuple[str, ...]
    rates: Mapping[str, Rate]
    answers_key: Hashable
    missing: tuple[str, ...] = ()
    by_type: Mapping[str, Rate] = field(default_factory=dict)
    words: WordScore | None = None
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    set_remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def words_counted(score: WordScore, entities: Mapping[str, Sequence[Mapping[str, Any]]]) -> Counted:
    """Word score as a task's `Counted`, with the rates "wer" and "entities"."""
    found = score_entities(score, entities)
    words = Rate(
        np.array([u.words.errors for u in score.utterances]),
        np.array([u.words.reference for u in score.utterances]),
    )
    remarks = {}
    if found.unplaced:
        what = "entities that the normalised transcript does not hold are not counted"
        remarks[what] = tuple(found.unplaced)
    return Counted(
        ids=tuple(u.id for u in score.utterances),
        rates={"wer": words, "entities": _rate(found.overall)},
        answers_key=tuple(u.pairs for u in score.utterances),
        missing=score.missing,
        by_type={name: _rate(counts) for name, counts in found.by_type.items()},
        words=score,
        set_remarks=remarks,
    )


def _rate(counts: EntityCounts) -> Rate:
    return Rate(counts.errors, counts.reference)
