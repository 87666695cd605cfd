"""What every task's scorer hands on: errors by utterance, and what they are a share of.

An error rate is a ratio of sums. Its denominator may be the same for all systems (reference words,
utterances) or their own, as that of an F1: with errors FP + FN of 2 TP + FP + FN, 100 - F1 is an
error rate like any other. Counts may be fractions.
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
        errors: [N] of each utterance.
        reference: [N] what they are a share of.
        is_common: `reference` does not depend on the hypotheses.
    """

    errors: NDArray[Any]
    reference: NDArray[Any]
    is_common: bool = True

    @property
    def percent(self) -> float | None:
        """Sum over sum, in percent; None where there is nothing to be wrong about."""
        total = self.reference.sum()
        return float(100 * self.errors.sum() / total) if total else None


@dataclass(frozen=True)
class Counted:
    """Hypotheses of a set, counted by a task.

    Attributes:
        ids: of the references, sorted: the order of all arrays.
        rates: by the keys of the task's figures.
        answers_key: what was understood; equal for hypotheses that cannot be told apart.
        missing: references without hypothesis.
        by_type: rates of the task's second figure by the type of what is counted.
        words: the word alignments, where answers are words; tests then look inside utterances.
        remarks: what the reader of a report has to know, each with what it is about.
        set_remarks: the same of the set, whatever the hypotheses are.
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
    """A word score as what a task hands on: rates "wer" and "entities"."""
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
