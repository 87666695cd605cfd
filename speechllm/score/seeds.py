"""Error rates of one method over several training seeds, with what both kinds of chance do to them.

A method is trained with S seeds and every run decodes the same N utterances: S x N errors, crossed.
The two-level ("pigeonhole") bootstrap of such a table draws its rows and its columns (Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 2007): utterances as in `bootstrap`, the same
ones for all seeds, and seeds. Of S seeds S - 1 are drawn, with replacement: the variance of a mean
of S draws would be too small by the factor (S - 1) / S, a third with three seeds (Rao and Wu,
"Resampling inference with complex survey data", JASA 1988). A single seed says nothing about other
seeds; then this is the bootstrap over utterances. With three seeds that differ far more than chance
among utterances explains, a test at 5 % still errs in some 11 % (tests/score/test_significance.py);
one over utterances alone errs in most.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechllm.score.bootstrap import DRAWS_AT_ONCE, LEVEL

Rates = NDArray[np.float64]


def mean_rate(errors: ArrayLike, reference: ArrayLike) -> float | None:
    """Return the mean over seeds of the error rate, in percent; None without reference tokens.

    Args:
        errors: [S, N] errors of each seed's run on each utterance; [N] is one seed.
        reference: [N] reference tokens.
    """
    total = np.sum(reference)
    return float(100 * np.atleast_2d(errors).mean(axis=0).sum() / total) if total else None


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
    methods with the same seed may have data in common; to take them for unrelated is on the safe
    side.

    Args:
        errors: [S, N] errors; [N] is one seed.
        reference: [N] reference tokens.
        resamples: number of resamples R.
        seed: of the draws.
        stream: of the draws of seeds.

    Returns:
        [R] rates in percent; nan where a resample holds no reference token.
    """
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    reference = np.asarray(reference, dtype=np.float64)
    seeds, units = errors.shape
    columns = np.concatenate([errors, reference[None]]).T  # [N, S + 1]
    drawn = _utterances_drawn(units, resamples, seed)
    rows = max(1, DRAWS_AT_ONCE // units)
    totals = np.concatenate(
        [drawn[start : start + rows].astype(float) @ columns for start in range(0, resamples, rows)]
    )  # [R, S + 1]
    draw = np.random.default_rng([seed, stream])
    picked = draw.integers(0, seeds, size=(resamples, max(1, seeds - 1)))
    weights = _how_often(picked, seeds) / picked.shape[1]  # [R, S]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 100 * (totals[:, :-1] * weights).sum(axis=1) / totals[:, -1]
    return np.where(totals[:, -1] > 0, rates, np.nan)


def percentiles(values: Rates) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values; nan is left out."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def seed_interval(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % interval of `mean_rate` over seeds and utterances.

    None where it would mean nothing: fewer than two utterances, or no reference tokens.
    """
    if len(np.asarray(reference)) < 2 or not np.sum(reference):
        return None
    return percentiles(resampled_rates(errors, reference, resamples, seed))


@lru_cache(maxsize=4)
def _utterances_drawn(units: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """[R, N] how often each utterance is drawn: about once, so that a byte will do."""
    draw = np.random.default_rng(seed)
    counts = []
    rows = max(1, DRAWS_AT_ONCE // units)
    for start in range(0, resamples, rows):
        picked = draw.integers(0, units, size=(min(rows, resamples - start), units))
        counts.append(_how_often(picked, units).astype(np.uint8))
    return np.concatenate(counts)


def _how_often(picked: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    """[R, K] drawn indices -> [R, units] how often each was drawn."""
    offsets = np.arange(len(picked))[:, None] * units
    counts = np.bincount((picked + offsets).ravel(), minlength=len(picked) * units)
    return counts.reshape(len(picked), units)
