"""Means with bootstrap intervals: how far a number might be another with other conversations.

Percentile bootstrap over conversations (Efron, 1979), 2,000 resamples, always the same ones.
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
    "Interval",
    "difference_interval",
    "mean_interval",
    "ratio_interval",
    "statistic_interval",
    "std_interval",
]

RESAMPLES = 2_000
LEVEL = 0.95
_SEED = 20_230
_BATCH_NUMBERS = 4_000_000

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic of `n` numbers and its 95% interval; None where it has none (n under 2)."""

    value: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Iterable[float]) -> Interval | None:
    """The mean of the values that are numbers; None where none is."""
    numbers = _numbers(values)
    return _bootstrap((numbers,), _mean) if len(numbers) else None


def std_interval(values: Iterable[float]) -> Interval | None:
    """The standard deviation (divided by n) of the values that are numbers."""
    numbers = _numbers(values)
    return _bootstrap((numbers,), _std) if len(numbers) else None


def ratio_interval(parts: Iterable[float], wholes: Iterable[float]) -> Interval | None:
    """The sum of the parts over the sum of the wholes, drawn in pairs: words a turn, pooled.

    Pairs without a part (NaN) are left out.
    """
    above, below = np.fromiter(parts, float), np.fromiter(wholes, float)
    known = ~np.isnan(above)
    pairs = (above[known], below[known])
    return _bootstrap(pairs, _ratio) if pairs[1].sum() else None


def difference_interval(ours: Numbers, theirs: Numbers) -> Interval | None:
    """The mean of ours less that of theirs, each resampled apart; None where one is empty."""
    if not (len(ours) and len(theirs)):
        return None
    return _bootstrap((ours, theirs), _difference, paired=False)


def statistic_interval(statistic: Any, *data: NDArray[Any]) -> Interval | None:
    """A statistic, along `axis`, of columns drawn together, a row a unit; None where undefined.

    No interval where it is undefined for some of the resamples.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of resamples for which it is undefined
        found = _bootstrap(data, statistic)
    if np.isnan(found.value):
        return None
    if found.low is None or found.high is None or np.isnan(found.low) or np.isnan(found.high):
        return Interval(found.value, None, None, found.n)
    return found


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


def _bootstrap(data: tuple[NDArray[Any], ...], statistic: Any, paired: bool = True) -> Interval:
    n = min(len(sample) for sample in data)
    value = float(statistic(*data))
    if n < 2:
        return Interval(value, None, None, n)
    stats: Any = import_module("scipy.stats")
    found = stats.bootstrap(
        data,
        statistic,
        paired=paired and len(data) > 1,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_NUMBERS // n),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high), n)
