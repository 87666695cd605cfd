"""Significance tests of two systems on the same utterances, and a correction for many tests.

* Paired bootstrap: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
  evaluation" (ICASSP 2004).
* Matched pairs (MAPSSWE): Gillick and Cox, "Some statistical issues in the comparison of speech
  recognition algorithms" (ICASSP 1989), with the segments of NIST's sc_stats.
* Holm, "A simple sequentially rejective multiple test procedure" (Scand. J. Statistics 1979).

A system is one run, or several that differ in their training seed; its errors are then their mean.
The bootstrap draws seeds too, so it is about the method; MAPSSWE is about these very runs. MAPSSWE
assumes that segments between two right words are independent, which may not hold with a language
model that sees the whole utterance; the bootstrap assumes it of utterances only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechllm.score.chance.seeds import mean_rate, percentiles, resampled_rates
from speechllm.score.count.wer import AlignedUtterance, WordScore

FEWEST_SEGMENTS = 30  # below this a mean is not normal enough


@dataclass(frozen=True)
class Paired:
    """Result of the paired bootstrap.

    Attributes:
        difference: error rate of the system minus that of the baseline, in points.
        interval: 95 % interval of the difference.
        improvement: share of the resamples in which the system is better than the baseline.
        p: two-sided p-value; 1 for systems that make the same errors.
    """

    difference: float
    interval: tuple[float, float]
    improvement: float
    p: float


def paired_bootstrap(
    errors: ArrayLike,
    baseline: ArrayLike,
    reference: ArrayLike,
    resamples: int = 10_000,
    seed: int = 0,
    baseline_reference: ArrayLike | None = None,
) -> Paired | None:
    """Compare two systems on the same utterances; None if there is nothing to draw from.

    p is twice the smaller of two shares of resamples: those where the difference is 0 or less,
    and those where it is 0 or more. One is added to both counts of the share, so that p is never 0
    (Davison and Hinkley, "Bootstrap methods and their application", 1997, section 4.2).

    Args:
        errors: [S, N] errors of the system, a row for each seed; [N] is one seed.
        baseline: [S', N] errors of the baseline.
        reference: [N] reference tokens; [S, N] if the denominator is the system's own, as with an
            F1. It is then resampled with the errors.
        resamples: number of resamples (see `speechllm.score.chance.seeds`).
        seed: seed of the draws.
        baseline_reference: [S', N] the baseline's own; None if both share `reference`.
    """
    if baseline_reference is None:
        baseline_reference = reference
    ours, theirs = mean_rate(errors, reference), mean_rate(baseline, baseline_reference)
    if ours is None or theirs is None or np.shape(reference)[-1] < 2:
        return None
    change = resampled_rates(errors, reference, resamples, seed, stream=1)
    change = change - resampled_rates(baseline, baseline_reference, resamples, seed, stream=2)
    change = change[~np.isnan(change)].round(9)  # means over seeds are equal but for rounding
    beyond = min(np.sum(change <= 0), np.sum(change >= 0))
    return Paired(
        ours - theirs,
        percentiles(change),
        float(np.mean(change < 0)),
        float(min(1.0, 2 * (1 + beyond) / (1 + len(change)))),
    )


def matched_pairs(system: Sequence[WordScore], baseline: Sequence[WordScore]) -> float | None:
    """Return the two-sided p of MAPSSWE.

    The mean difference of errors in a segment is assumed to be normally distributed.

    Args:
        system: scores of the system, one for each seed.
        baseline: scores of the baseline, with the same references and normaliser.

    Returns:
        p; 1 if no segment differs, None if there are fewer than 30 segments.
    """
    segments = np.array(
        [
            (segment[: len(system)].mean(), segment[len(system) :].mean())
            for runs in zip(*(score.utterances for score in (*system, *baseline)), strict=True)
            for segment in segment_errors(runs)
        ]
    )
    return _mean_difference(segments)


def matched_utterances(errors: ArrayLike, baseline: ArrayLike) -> float | None:
    """Return the two-sided p of matched pairs for answers without segments: whole utterances.

    Only for errors that have the same denominator in both systems.

    Args:
        errors: [S, N] errors of the system.
        baseline: [S', N] errors of the baseline.

    Returns:
        p; 1 if no utterance differs, None if fewer than 30 have errors.
    """
    both = np.stack([np.atleast_2d(errors).mean(axis=0), np.atleast_2d(baseline).mean(axis=0)])
    return _mean_difference(both.T[both.any(axis=0)])


def _mean_difference(segments: NDArray[np.float64]) -> float | None:
    """Two-sided p of the mean difference of [K, 2] errors, taken as normal."""
    if not len(segments) or np.allclose(segments[:, 0], segments[:, 1]):
        return 1.0
    if len(segments) < FEWEST_SEGMENTS:
        return None
    differences = segments[:, 0] - segments[:, 1]
    spread = differences.std(ddof=1) / math.sqrt(len(differences))
    if not spread:
        return 0.0
    return math.erfc(abs(differences.mean() / spread) / math.sqrt(2))


def segment_errors(runs: Sequence[AlignedUtterance]) -> list[NDArray[np.int64]]:
    """Cut one utterance into segments where two or more words in a row are right in all runs.

    sc_stats takes two as well.

    Args:
        runs: alignments of the same reference.

    Returns:
        [runs] errors for each segment in which at least one run errs.
    """
    errors = np.stack([_errors_by_place(run) for run in runs])
    right = errors.sum(axis=0) == 0
    # A cut is a gap between two right words without insertion. More than two of them in a row make
    # several cuts, with segments between them that hold no error and are left out.
    cuts = [gap for gap in range(2, len(right) - 2, 2) if right[gap - 1 : gap + 2].all()]
    parts = np.split(errors, cuts, axis=1)
    return [total for part in parts if (total := part.sum(axis=1)).any()]


def _errors_by_place(utterance: AlignedUtterance) -> NDArray[np.int64]:
    """[2 W + 1] errors: the gap before word 1 (insertions), word 1, gap, ..., word W, gap."""
    places = np.zeros(2 * utterance.words.reference + 1, dtype=np.int64)
    place = 0
    for reference, hypothesis in utterance.pairs:
        if reference is None:
            places[place] += 1
        else:
            places[place + 1] = reference != hypothesis
            place += 2
    return places


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of one family of tests with Holm's step-down correction; same order."""
    corrected = [0.0] * len(p_values)
    so_far = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = so_far
    return corrected
