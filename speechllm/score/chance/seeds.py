"""Error rates of one method over several training seeds, with intervals over seeds and utterances.

A method is trained with S seeds and every run decodes the same N utterances: S x N errors, crossed.
The two-level ("pigeonhole") bootstrap of such a table draws its rows and its columns (Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 2007): utterances as in `bootstrap`, the same
ones for all seeds, and seeds. Of S seeds S - 1 are drawn, with replacement: the variance of a mean
of S draws would be too small by the factor (S - 1) / S, a third with three seeds (Rao and Wu,
"Resampling inference with complex survey data", JASA 1988). A single seed says nothing about other
seeds; then this is the bootstrap over utterances. With three seeds that differ far more than chance
among utterances explains, a test at 5 % still errs in some 11 % (tests/score/chance/
test_significance.py); one over utterances alone errs in most.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechllm.score.chance.bootstrap import LEVEL, how_often, resampled_totals

Rates = NDArray[np.float64]


def mean_rate(errors: ArrayLike, reference: ArrayLike) -> float | None:
    """Return the mean over seeds of the error rate, in percent; None without reference tokens.

    Args:
        errors: [S, N] errors of each seed's run on each utterance; [N] is one seed.
        reference: [N] reference tokens; [S, N] if the denominator differs from run to run, as
            with an F1.

    >>> mean_rate(np.array([[1, 0], [0, 0]]), np.array([2, 2]))
    12.5
    """
    errors, totals = np.atleast_2d(errors), np.atleast_2d(reference).sum(axis=1)
    if not totals.all():
        return None
    return float((100 * errors.sum(axis=1) / totals).mean())


def resampled_rates(
    errors: ArrayLike,
    reference: ArrayLike,
    resamples: int = 10_000,
    seed: int = 0,
    stream: int = 0,
) -> Rates:
    """Return the rate of each two-level resample.

    Utterances are drawn from (N, `resamples`, `seed`) alone, so two systems on the same utterances
    are drawn alike. Seeds are drawn from `stream` too: give each system its own. Runs of two
    methods with the same seed may have data in common; taking them as independent is on the safe
    side.

    Args:
        errors: [S, N] errors; [N] is one seed.
        reference: [N] reference tokens; [S, N] if they differ from run to run.
        resamples: number of resamples R.
        seed: seed of all draws.
        stream: number that, with `seed`, fixes the draws of training seeds.

    Returns:
        [R] rates in percent; nan where a resample holds no reference token.
    """
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    reference = np.atleast_2d(np.asarray(reference, dtype=np.float64))
    seeds = len(errors)
    columns = np.concatenate([errors, reference]).T  # [N, S + 1], or [N, S + S]
    totals = resampled_totals(columns, resamples, seed)
    draw = np.random.default_rng([seed, stream])
    picked = draw.integers(0, seeds, size=(resamples, max(1, seeds - 1)))
    weights = how_often(picked, seeds) / picked.shape[1]  # [R, S]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 100 * totals[:, :seeds] / totals[:, seeds:]
    # A run that was not drawn does not count, even if its rate is 0 / 0.
    return np.where(weights > 0, rates * weights, 0).sum(axis=1)


def percentiles(values: Rates) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values; nan is left out."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def seed_interval(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % interval of `mean_rate` over seeds and utterances.

    Args:
        errors: [S, N] errors; [N] is one seed.
        reference: [N] reference tokens; [S, N] if they differ from run to run.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        (low, high); None if it would mean nothing: fewer than two utterances, or no reference
        tokens.
    """
    if np.shape(reference)[-1] < 2 or mean_rate(errors, reference) is None:
        return None
    return percentiles(resampled_rates(errors, reference, resamples, seed))
