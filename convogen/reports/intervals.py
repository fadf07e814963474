"""Statistics with 95% bootstrap intervals, which reflect the variation between conversations.

Intervals are bias-corrected and accelerated (BCa; Efron, 1987) and use 2,000 resamples of the
conversations. The seed is fixed, so that the same data give the same interval. Percentile intervals
(Efron, 1979) from the same resamples replace BCa in two cases:

- BCa is undefined, for example if all resamples, or all samples with one conversation left out,
  give the same value. If all conversations are equal, both ends of the interval are that value.
- There are more than `JACKKNIFE_MAX` conversations. The time to compute the acceleration grows with
  the square of the number of conversations, whereas the effect of the acceleration shrinks with the
  square root of this number.

There is no interval if there are fewer than two conversations, or if the statistic is undefined for
any of the resamples.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "JACKKNIFE_MAX",
    "LEVEL",
    "Interval",
    "bootstrap_ends",
    "difference_interval",
    "mean_interval",
    "ratio_interval",
    "statistic_interval",
    "std_interval",
]

RESAMPLES = 2_000
LEVEL = 0.95
JACKKNIFE_MAX = 5_000
_SEED = 20_230
_BATCH_NUMBERS = 200_000  # resampled at once, so that they stay in the processor's cache

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic of `n` numbers and its 95% interval; the ends are None if there is no
    interval."""

    value: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Iterable[float]) -> Interval | None:
    """Return the mean of the values that are not NaN; None if there are no such values."""
    numbers = _numbers(values)
    return _bootstrap((numbers,), _mean) if len(numbers) else None


def std_interval(values: Iterable[float]) -> Interval | None:
    """Return the standard deviation (ddof 0) of the values that are not NaN; None if there are no
    such values."""
    numbers = _numbers(values)
    return _bootstrap((numbers,), _std) if len(numbers) else None


def ratio_interval(parts: Iterable[float], wholes: Iterable[float]) -> Interval | None:
    """Return the sum of the parts divided by the sum of the wholes, for example pooled words per
    turn.

    Each part is resampled together with its whole; pairs without a part (NaN) are left out.
    """
    above, below = np.fromiter(parts, float), np.fromiter(wholes, float)
    known = ~np.isnan(above)
    pairs = (above[known], below[known])
    return _bootstrap(pairs, _ratio) if pairs[1].sum() else None


def difference_interval(ours: Numbers, theirs: Numbers) -> Interval | None:
    """Return the difference between the means of two independent samples; None if either sample is
    empty."""
    if not (len(ours) and len(theirs)):
        return None
    return _bootstrap((ours, theirs), _difference, paired=False)


def statistic_interval(
    statistic: Any, *data: NDArray[Any], vectorized: bool = True
) -> Interval | None:
    """Return a statistic of columns that are resampled row by row; None if it is undefined.

    Args:
        statistic: Function of the columns and, if vectorized, of `axis`.
        data: Columns of equal length.
        vectorized: Whether one call to `statistic` computes many resamples, along the other axes.
    """
    found = _bootstrap(data, statistic, vectorized=vectorized)
    return None if np.isnan(found.value) else found


def _numbers(values: Iterable[float]) -> Numbers:
    numbers = np.fromiter(values, float)
    return numbers[~np.isnan(numbers)]


def _mean(sample: Numbers, axis: int = -1) -> Any:
    return sample.mean(axis=axis)


def _std(sample: Numbers, axis: int = -1) -> Any:
    return sample.std(axis=axis)


def _ratio(parts: Numbers, wholes: Numbers, axis: int = -1) -> Any:
    return parts.sum(axis=axis) / wholes.sum(axis=axis)


def _difference(ours: Numbers, theirs: Numbers, axis: int = -1) -> Any:
    return ours.mean(axis=axis) - theirs.mean(axis=axis)


def _bootstrap(
    data: tuple[NDArray[Any], ...], statistic: Any, *, paired: bool = True, vectorized: bool = True
) -> Interval:
    n = min(len(sample) for sample in data)
    value = float(statistic(*data))
    if n < 2:
        return Interval(value, None, None, n)
    low, high = bootstrap_ends(data, statistic, paired=paired, vectorized=vectorized)
    if np.isnan(low + high):
        return Interval(value, None, None, n)
    return Interval(value, float(low), float(high), n)


def bootstrap_ends(
    data: tuple[NDArray[Any], ...], statistic: Any, *, paired: bool = True, vectorized: bool = True
) -> tuple[Numbers, Numbers]:
    """Return the ends of the 95% interval, in the shape of the statistic; NaN if undefined.

    Args:
        data: One or more samples of at least two numbers each.
        statistic: Function of the samples and, if vectorized, of `axis`.
        paired: Whether the samples are resampled together.
        vectorized: Whether one call to `statistic` computes many resamples, along the other axes.
    """
    stats: Any = import_module("scipy.stats")
    n = max(len(sample) for sample in data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined results are NaN
        found = stats.bootstrap(
            data,
            statistic,
            paired=paired and len(data) > 1,
            vectorized=vectorized,
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH_NUMBERS // n),
            confidence_level=LEVEL,
            method="BCa" if n <= JACKKNIFE_MAX else "percentile",
            rng=np.random.default_rng(_SEED),
        )
    draws: Any = found.bootstrap_distribution
    tail = (1 - LEVEL) / 2
    plain = np.quantile(np.where(np.isfinite(draws), draws, np.nan), (tail, 1 - tail), axis=-1)
    bca = np.array([found.confidence_interval.low, found.confidence_interval.high])
    low, high = np.where(np.isnan(plain + bca).any(axis=0), plain, bca)
    return low, high
