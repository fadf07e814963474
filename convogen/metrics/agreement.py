"""Agreement between raters beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha.

Ratings are category codes: integers from 0, or -1 for a missing rating. The last axis has one entry
per unit. Axes before the last are resamples, so one function call computes a whole bootstrap. Kappa
treats categories as nominal. Alpha also takes floats (NaN for a missing rating) and a `Level` of
measurement:

- `nominal` for choices, which are either equal or different;
- `ordinal` for Likert ratings: the distance depends on how many ratings lie between two ratings;
- `interval` for numbers with meaningful differences, such as mean ratings or scores weighted by
  probabilities: the distance is the squared difference.

The results are NaN if the ratings do not vary (that is, all raters always give the same rating).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Level", "agreement_share", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha"]

Ratings = NDArray[Any]
Numbers = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]


def agreement_share(first: Ratings, second: Ratings, axis: int = -1) -> Numbers:
    """Return the share of units on which two raters agree, among the units that both rated."""
    both = (first >= 0) & (second >= 0)
    return _over(((first == second) & both).sum(axis=axis), both.sum(axis=axis))


def cohen_kappa(first: Ratings, second: Ratings, axis: int = -1) -> Numbers:
    """Return Cohen's kappa for two raters (Cohen, 1960), over the units that both rated."""
    both = (first >= 0) & (second >= 0)
    n = both.sum(axis=axis)
    by_chance: Any = 0.0
    for category in range(_categories(first, second)):
        one = ((first == category) & both).sum(axis=axis)
        other = ((second == category) & both).sum(axis=axis)
        by_chance = by_chance + _over(one, n) * _over(other, n)
    return _over(agreement_share(first, second, axis) - by_chance, 1 - by_chance)


def fleiss_kappa(*raters: Ratings, axis: int = -1) -> Numbers:
    """Return Fleiss' kappa for two or more raters (Fleiss, 1971), over the units that all rated."""
    whole = np.all([one >= 0 for one in raters], axis=0)
    n, m = whole.sum(axis=axis), len(raters)
    agreed: Any = 0.0
    by_chance: Any = 0.0
    for votes in _votes(raters):
        votes = votes * whole
        agreed = agreed + (votes * (votes - 1)).sum(axis=axis)
        by_chance = by_chance + _over(votes.sum(axis=axis), n * m) ** 2
    return _over(_over(agreed, n * m * (m - 1)) - by_chance, 1 - by_chance)


def krippendorff_alpha(*raters: Ratings, axis: int = -1, level: Level = "nominal") -> Numbers:
    """Return Krippendorff's alpha for two or more raters (Krippendorff, 2011).

    Units with fewer than two ratings are left out. Alpha is 1 minus the ratio of the variance
    within units to the variance of all ratings. These are variances of the values on an interval
    scale and of the ranks on an ordinal scale. On a nominal scale, they are summed over the
    categories, with 1 for ratings in the category and 0 for the others.
    """
    columns = [np.moveaxis(np.where(_given(one), one, np.nan), axis, -1) for one in raters]
    ratings = np.stack(columns, axis=-2)
    pairable = (~np.isnan(ratings)).sum(axis=-2, keepdims=True) > 1
    ratings = np.where(pairable, ratings, np.nan)
    within: Any = 0.0
    overall: Any = 0.0
    for values in _on_interval_scales(ratings, level):
        within = within + _spread(values).sum(axis=-1)
        overall = overall + _spread(values.reshape(*values.shape[:-2], -1, 1))[..., 0]
    return np.where(_varies(ratings), 1 - _over(within, overall), np.nan)


def _on_interval_scales(ratings: Numbers, level: Level) -> Iterator[Numbers]:
    """Yield arrays whose squared differences add up to the distances between ratings."""
    missing = np.isnan(ratings)
    if level == "interval":
        yield ratings
    elif level == "ordinal":
        stats: Any = import_module("scipy.stats")
        samples = ratings.reshape(*ratings.shape[:-2], -1)
        yield stats.rankdata(samples, axis=-1, nan_policy="omit").reshape(ratings.shape)
    else:
        for category in np.unique(ratings[~missing]):
            yield np.where(missing, np.nan, ratings == category)


def _spread(ratings: Numbers) -> Numbers:
    """Return the number of ratings times their sample variance, along the axis before the last; 0
    for fewer than two ratings."""
    given = ~np.isnan(ratings)
    n = given.sum(axis=-2)
    mean = np.where(given, ratings, 0).sum(axis=-2) / np.maximum(n, 1)
    squares = np.where(given, ratings - mean[..., None, :], 0) ** 2
    return n * squares.sum(axis=-2) / np.maximum(n - 1, 1)


def _varies(ratings: Numbers) -> NDArray[np.bool_]:
    missing = np.isnan(ratings)
    highest = np.where(missing, -np.inf, ratings).max(axis=(-2, -1))
    return highest > np.where(missing, np.inf, ratings).min(axis=(-2, -1))


def _given(ratings: Ratings) -> NDArray[np.bool_]:
    return ratings >= 0 if np.issubdtype(ratings.dtype, np.integer) else ~np.isnan(ratings)


def _votes(raters: tuple[Ratings, ...]) -> list[Any]:
    """Return one array per category, with the number of raters per unit who chose the category."""
    return [
        np.sum([one == category for one in raters], axis=0)
        for category in range(_categories(*raters))
    ]


def _categories(*raters: Ratings) -> int:
    return int(max((one.max(initial=-1) for one in raters), default=-1)) + 1


def _over(part: Any, whole: Any) -> Numbers:
    """Return the quotient, element by element; NaN if the divisor is 0 or nearly 0."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    some = np.abs(whole) > 1e-12
    return np.where(some, part / np.where(some, whole, 1.0), np.nan)
