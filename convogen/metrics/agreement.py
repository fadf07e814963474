"""Agreement between raters beyond chance: Cohen's and Fleiss' kappa, Krippendorff's alpha.

Ratings are category codes: integers from 0, or -1 for a missing rating. The last axis has one entry
per unit. Kappa treats categories as nominal. Axes before the last are resamples, so one function
call computes a whole bootstrap. Alpha is computed by `evalica` from a single sample of codes or of
floats (NaN for a missing rating). A `Level` is a level of measurement:

- `nominal` for choices, which are either equal or different;
- `ordinal` for Likert ratings: the distance depends on how many ratings lie between two ratings;
- `interval` for numbers with meaningful differences, such as mean ratings or scores weighted by
  probabilities: the distance is the squared difference.

The results are NaN if the ratings do not vary (that is, all raters always give the same rating).
"""

from __future__ import annotations

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


def krippendorff_alpha(*raters: Ratings, level: Level = "nominal") -> float:
    """Return Krippendorff's alpha for two or more raters (Krippendorff, 2011).

    Units with fewer than two ratings are left out.
    """
    evalica: Any = import_module("evalica")
    pandas: Any = import_module("pandas")
    ratings = np.array([np.where(_given(one), one, np.nan) for one in raters], float)
    if not (np.isfinite(ratings).sum(axis=0) > 1).any():
        return np.nan
    found = evalica.alpha(pandas.DataFrame(ratings), level)
    return found.alpha if found.expected > 0 else np.nan


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
