"""Tests of whether one arm is better than another, corrected over a whole family of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

from speechllm.compare.results import Result, Runs
from speechllm.score.chance.seeds import mean_rate
from speechllm.score.chance.significance import (
    Paired,
    holm,
    matched_pairs,
    matched_utterances,
    paired_bootstrap,
)

ALPHA = 0.05
FEWEST_RESAMPLES = 10_000


@dataclass(frozen=True)
class Judgement:
    """Test of one arm against another on the target's test set.

    Attributes:
        difference: error rate of the first minus that of the second, in points.
        interval: its 95 % interval over seeds and utterances, not corrected.
        p: paired bootstrap over seeds and utterances, after Holm.
        p_matched: matched pairs test of these runs, after Holm; None if it cannot be made, as with
            too few segments.
        runs_better: number of the first arm's runs with an error rate below the second's mean.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    p_matched: float | None
    runs_better: int

    @property
    def is_significant(self) -> bool:
        """Whether both tests are significant: on these runs and over other seeds and utterances."""
        return self.p < ALPHA and self.p_matched is not None and self.p_matched < ALPHA


def judge(pairs: Sequence[tuple[Result, Result]]) -> list[Judgement | None]:
    """Test each pair; Holm corrects each of the two tests over all pairs.

    The judgement is None if a set has fewer than two utterances or no reference words.
    """
    # Holm multiplies a p by up to the number of tests, and no p is below 2 / resamples.
    resamples = max(FEWEST_RESAMPLES, 200 * len(pairs))
    paired = [compare_runs(one.target, other.target, resamples) for one, other in pairs]
    matched = [_matched(one.target, other.target) for one, other in pairs]
    p_values = _corrected([test and test.p for test in paired])
    p_matched = _corrected(matched)
    judgements: list[Judgement | None] = []
    for (one, other), test, p, p_segments in zip(pairs, paired, p_values, p_matched, strict=True):
        if test is None or p is None:
            judgements.append(None)
            continue
        each = [mean_rate(*run) for run in one.target.runs]
        better = sum(rate is not None and rate < (other.target.error or 0.0) for rate in each)
        judgements.append(Judgement(test.difference, test.interval, p, p_segments, better))
    return judgements


def compare_runs(one: Runs, other: Runs, resamples: int = FEWEST_RESAMPLES) -> Paired | None:
    """Paired bootstrap of two arms on one set; None if the set cannot be tested.

    Args:
        one: runs of the arm to test.
        other: runs of the arm that it is tested against.
        resamples: number of resamples.
    """
    return paired_bootstrap(
        one.errors, other.errors, one.reference, resamples, baseline_reference=other.reference
    )


def _matched(one: Runs, other: Runs) -> float | None:
    """p of matched pairs, by words if there are any; None if denominators differ by system."""
    words = [counted.words for counted in (*one.counted, *other.counted)]
    if None not in words:
        scores = [score for score in words if score]
        return matched_pairs(scores[: len(one.counted)], scores[len(one.counted) :])
    if one.reference.ndim > 1:
        return None
    return matched_utterances(one.errors, other.errors)


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct the p-values that are not None by Holm's method."""
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]
