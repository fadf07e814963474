"""How far raters agree beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha, all nominal.

Ratings are whole numbers from 0, one a unit in the last axis; -1 stands for none given. Axes before
it are resamples: each statistic is taken over the last one, so that a bootstrap is one call.
Undefined where nothing varies (everybody always says the same): nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["agreement_share", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha"]

Ratings = NDArray[Any]
Numbers = NDArray[np.float64]


def agreement_share(first: Ratings, second: Ratings, axis: int = -1) -> Numbers:
    """The share of the units rated by both on which two raters say the same."""
    both = (first >= 0) & (second >= 0)
    return _over(((first == second) & both).sum(axis=axis), both.sum(axis=axis))


def cohen_kappa(first: Ratings, second: Ratings, axis: int = -1) -> Numbers:
    """Cohen's kappa of two raters (Cohen, 1960), over the units that both rated."""
    both = (first >= 0) & (second >= 0)
    n = both.sum(axis=axis)
    by_chance: Any = 0.0
    for category in range(_categories(first, second)):
        one = ((first == category) & both).sum(axis=axis)
        other = ((second == category) & both).sum(axis=axis)
        by_chance = by_chance + _over(one, n) * _over(other, n)
    return _over(agreement_share(first, second, axis) - by_chance, 1 - by_chance)


def fleiss_kappa(*raters: Ratings, axis: int = -1) -> Numbers:
    """Fleiss' kappa of two or more raters (Fleiss, 1971), over the units that all rated."""
    whole = np.all([one >= 0 for one in raters], axis=0)
    n, m = whole.sum(axis=axis), len(raters)
    agreed: Any = 0.0
    by_chance: Any = 0.0
    for votes in _votes(raters):
        votes = votes * whole
        agreed = agreed + (votes * (votes - 1)).sum(axis=axis)
        by_chance = by_chance + _over(votes.sum(axis=axis), n * m) ** 2
    return _over(_over(agreed, n * m * (m - 1)) - by_chance, 1 - by_chance)


def krippendorff_alpha(*raters: Ratings, axis: int = -1) -> Numbers:
    """Krippendorff's alpha of two or more raters (2011), units rated by fewer than two left out."""
    votes = _votes(raters)
    given = np.sum(votes, axis=0)
    pairable = given >= 2
    weight = pairable / np.maximum(given - 1, 1)
    values = (given * pairable).sum(axis=axis)
    agreed: Any = 0.0
    expected: Any = 0.0
    for of in votes:
        agreed = agreed + (of * (of - 1) * weight).sum(axis=axis)
        total = (of * pairable).sum(axis=axis)
        expected = expected + total * (total - 1.0)
    disagreement = 1 - _over(agreed, values)
    by_chance = 1 - _over(expected, values * (values - 1.0))
    return 1 - _over(disagreement, by_chance)


def _votes(raters: tuple[Ratings, ...]) -> list[Any]:
    """For each category how many raters chose it, a unit at a time."""
    return [
        np.sum([one == category for one in raters], axis=0)
        for category in range(_categories(*raters))
    ]


def _categories(*raters: Ratings) -> int:
    return int(max((one.max(initial=-1) for one in raters), default=-1)) + 1


def _over(part: Any, whole: Any) -> Numbers:
    """A quotient, nan where the whole is 0 (or as good as that)."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    some = np.abs(whole) > 1e-12
    return np.where(some, part / np.where(some, whole, 1.0), np.nan)
