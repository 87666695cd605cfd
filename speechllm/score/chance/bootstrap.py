"""Bootstrap intervals of error rates, over utterances or over blocks of them (speakers).

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation"
(ICASSP 2004): draw as many units as there are, with replacement, take the rate as a ratio of sums,
repeat; the interval lies between the percentiles. Utterances of one speaker are not independent,
so drawing utterances gives an interval that is somewhat too narrow; drawing speakers as blocks
(Liu and Peng, "Statistical testing on ASR performance via blockwise bootstrap", Interspeech 2020)
fixes that if there are enough speakers.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
DRAWS_AT_ONCE = 1 << 17  # few enough that their counts stay in a processor's cache
MOST_DRAWS = 1 << 28  # of one set, up to which units are drawn one by one and kept, a byte each


def bootstrap_rates(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the error rate of each resample.

    The draws are those of `resampled_totals`. If there are so many units that these would take
    minutes, kinds of units are drawn instead, by a multinomial of the same distribution: units of
    one kind have the same errors and the same reference, and a million utterances are of some
    hundred kinds.

    Args:
        errors: [N] errors of each unit; they may be fractions.
        reference: [N] reference tokens of each unit, or another denominator.
        resamples: number of resamples R.
        seed: seed of the draws.

    Returns:
        [R] rates in percent; nan where a resample holds no reference token.
    """
    columns = np.stack([errors, reference], axis=1).astype(np.float64)  # [N, 2]
    many = len(columns) * resamples > MOST_DRAWS
    totals = (_totals_of_kinds if many else resampled_totals)(columns, resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = 100 * totals[:, 0] / totals[:, 1]
    return np.where(totals[:, 1] > 0, rate, np.nan)


def _totals_of_kinds(
    columns: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Sums of resamples of `columns` [N, 2], as [R, 2]; equal rows are drawn together."""
    kinds, counts = np.unique(columns @ (1, 1j), return_counts=True)  # pairs that sort as numbers
    draw = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // len(kinds))
    shares = counts / len(columns)
    totals = [
        draw.multinomial(len(columns), shares, min(rows, resamples - start)) @ kinds
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(totals).view(np.float64).reshape(resamples, 2)


def resampled_totals(
    columns: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Draw the N units of `columns` [N, C]; return the sums of each resample, [R, C].

    The draws depend only on the number of units, `resamples` and `seed`: two systems scored on the
    same units in the same order are resampled alike, so that their rates can be compared in pairs.

    Args:
        columns: [N, C] values of each unit.
        resamples: number of resamples R.
        seed: seed of the draws.
    """
    units = len(columns)
    drawn = (_kept_draws if units * resamples <= MOST_DRAWS else _draws)(units, resamples, seed)
    return np.concatenate([counts.astype(float) @ columns for counts in drawn])


@lru_cache(maxsize=4)
def _kept_draws(units: int, resamples: int, seed: int) -> list[NDArray[np.uint8]]:
    return list(_draws(units, resamples, seed))


def _draws(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield how often each unit is drawn, [some of R, N]: about once, so a byte is enough."""
    draw = np.random.default_rng(seed)
    rows = max(1, DRAWS_AT_ONCE // units)
    for start in range(0, resamples, rows):
        picked = draw.integers(0, units, size=(min(rows, resamples - start), units))
        yield how_often(picked, units).astype(np.uint8)


def how_often(picked: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    """[R, K] drawn indices -> [R, units] how often each was drawn."""
    offsets = np.arange(len(picked))[:, None] * units
    counts = np.bincount((picked + offsets).ravel(), minlength=len(picked) * units)
    return counts.reshape(len(picked), units)


def bootstrap_interval(
    errors: ArrayLike, reference: ArrayLike, resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of an error rate, in percent.

    Args:
        errors: [N] errors of each unit.
        reference: [N] reference tokens of each unit, or another denominator.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        (low, high); None if it would mean nothing: fewer than two units, or no reference tokens.

    >>> bootstrap_interval(np.array([1, 0, 2, 0]), np.array([4, 5, 6, 5]), 200, 0)
    (0.0, 30.0)
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
