"""Bootstrap intervals of error rates, over utterances or over blocks of them (speakers).

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation"
(ICASSP 2004): draw as many units as there are, with replacement, take the rate as a ratio of sums,
repeat; the interval lies between the percentiles. Utterances of one speaker are not independent,
so drawing utterances gives an interval that is somewhat too narrow; drawing speakers as blocks
(Liu and Peng, "Statistical testing on ASR performance via blockwise bootstrap", Interspeech 2020)
mends that where there are enough speakers.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
DRAWS_AT_ONCE = 4_000_000  # bounds the memory of the index matrix to some 32 MB


def bootstrap_rates(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the error rate of each resample.

    The draws depend only on the number of units, `resamples` and `seed`: two systems scored on the
    same units in the same order are resampled alike, so that their rates can be compared in pairs.

    Args:
        errors: [N] errors of each unit; they may be fractions.
        reference: [N] reference tokens of each unit, or what else errors are a share of.
        resamples: number of resamples R.
        seed: of the draws.

    Returns:
        [R] rates in percent; nan where a resample holds no reference token.
    """
    columns = np.stack([errors, reference], axis=1).astype(np.float64)  # [N, 2]
    totals = resampled_totals(columns, resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = 100 * totals[:, 0] / totals[:, 1]
    return np.where(totals[:, 1] > 0, rate, np.nan)


def resampled_totals(
    columns: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Draw the N units of `columns` [N, C]; return the sums of each resample, [R, C]."""
    units = len(columns)
    drawn = _units_drawn(units, resamples, seed)
    rows = max(1, DRAWS_AT_ONCE // units)
    return np.concatenate(
        [drawn[start : start + rows].astype(float) @ columns for start in range(0, resamples, rows)]
    )


@lru_cache(maxsize=4)
def _units_drawn(units: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """[R, N] how often each unit is drawn: about once, so that a byte will do."""
    draw = np.random.default_rng(seed)
    counts = []
    rows = max(1, DRAWS_AT_ONCE // units)
    for start in range(0, resamples, rows):
        picked = draw.integers(0, units, size=(min(rows, resamples - start), units))
        counts.append(how_often(picked, units).astype(np.uint8))
    return np.concatenate(counts)


def how_often(picked: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    """[R, K] drawn indices -> [R, units] how often each was drawn."""
    offsets = np.arange(len(picked))[:, None] * units
    counts = np.bincount((picked + offsets).ravel(), minlength=len(picked) * units)
    return counts.reshape(len(picked), units)


def bootstrap_interval(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of an error rate, in percent.

    None where it would mean nothing: fewer than two units, or no reference tokens.
    """
    if len(np.asarray(errors)) < 2 or not np.sum(reference):
        return None
    tail = 50 * (1 - LEVEL)
    rates = bootstrap_rates(errors, reference, resamples, seed)
    low, high = np.nanpercentile(rates, [tail, 100 - tail])
    return float(low), float(high)


def sum_blocks(values: ArrayLike, blocks: Sequence[str]) -> NDArray[np.float64]:
    """Sum `values` [N] over the utterances of each block; `blocks` [N] names each one's block.

    Returns:
        [B] sums, in the order of the sorted block names.
    """
    _, index = np.unique(np.asarray(blocks), return_inverse=True)
    return np.bincount(index, weights=np.asarray(values))
