"""Comparisons of conditions: Wald tests, pairwise contrasts and compact letter displays."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from typing import Any, Literal

import numpy as np

from convogen.reports.ablation import holm
from convogen.reports.intervals import LEVEL
from convogen.study.mixed import Fit

__all__ = ["ALPHA", "Contrast", "Mean", "WaldTest", "contrasts", "letters", "means", "wald_test"]

ALPHA = 1 - LEVEL


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A Wald test of the hypothesis that all conditions have the same mean.

    Attributes:
        kind: `chi-square` for asymptotic fits, otherwise `F`.
        statistic: Value of the test statistic.
        df: Degrees of freedom, one less than the number of conditions.
        denominator: Denominator degrees of freedom of F; None for chi-square.
        p: The p-value.
    """

    kind: Literal["chi-square", "F"]
    statistic: float
    df: int
    denominator: int | None
    p: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A condition's mean on the scale of the link, with its 95% interval."""

    condition: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The first condition's mean minus the second's, on the scale of the link.

    Attributes:
        difference: The contrast; `low` and `high` are the ends of its unadjusted 95% interval.
        error: Standard error of the contrast.
        p: Two-sided p-value of the Wald test.
        p_holm: The p-value, adjusted for all contrasts in the fit (Holm, 1979).
    """

    first: str
    second: str
    difference: float
    error: float
    low: float
    high: float
    p: float
    p_holm: float


def wald_test(fit: Fit) -> WaldTest:
    """Return the Wald test of whether all conditions have the same mean."""
    stats: Any = import_module("scipy.stats")
    k = len(fit.conditions)
    against = np.column_stack([-np.ones(k - 1), np.eye(k - 1)])
    differences = against @ fit.means
    chi_square = float(
        differences @ np.linalg.solve(against @ fit.covariance @ against.T, differences)
    )
    if fit.df is None:
        p = float(stats.chi2.sf(chi_square, k - 1))
        return WaldTest("chi-square", chi_square, k - 1, None, p)
    statistic = chi_square / (k - 1)
    return WaldTest("F", statistic, k - 1, fit.df, float(stats.f.sf(statistic, k - 1, fit.df)))


def means(fit: Fit) -> list[Mean]:
    """Return each condition's mean with its 95% interval."""
    quantile = _quantile(fit)
    return [
        Mean(name, value, value - quantile * error, value + quantile * error)
        for name, value, error in zip(
            fit.conditions,
            fit.means.tolist(),
            np.sqrt(np.diag(fit.covariance)).tolist(),
            strict=True,
        )
    ]


def contrasts(fit: Fit) -> list[Contrast]:
    """Return the contrast for every pair of conditions, in the order of the conditions."""
    stats: Any = import_module("scipy.stats")
    quantile = _quantile(fit)
    found: list[tuple[int, int, float, float, float]] = []
    for i, j in combinations(range(len(fit.conditions)), 2):
        difference = float(fit.means[i] - fit.means[j])
        of = fit.covariance
        error = math.sqrt(float(of[i, i] + of[j, j] - 2 * of[i, j]))
        sizes = abs(difference) / error
        tail = stats.norm.sf(sizes) if fit.df is None else stats.t.sf(sizes, fit.df)
        found.append((i, j, difference, error, 2 * float(tail)))
    adjusted = holm([p for *_, p in found])
    return [
        Contrast(
            first=fit.conditions[i],
            second=fit.conditions[j],
            difference=difference,
            error=error,
            low=difference - quantile * error,
            high=difference + quantile * error,
            p=p,
            p_holm=p_holm,
        )
        for (i, j, difference, error, p), p_holm in zip(found, adjusted, strict=True)
    ]


def _quantile(fit: Fit) -> float:
    stats: Any = import_module("scipy.stats")
    at = 1 - ALPHA / 2
    return float(stats.norm.ppf(at) if fit.df is None else stats.t.ppf(at, fit.df))


def letters(
    best_first: Sequence[str],
    found: Sequence[Contrast],
    p: Callable[[Contrast], float],
    alpha: float = ALPHA,
) -> dict[str, str]:
    """Return the compact letter display: conditions sharing a letter do not differ significantly.

    The algorithm is insertion and absorption (Piepho, 2004). Letters are ordered by the best
    condition that has them, so the best condition has the letter A.

    Args:
        best_first: All conditions, from the best mean to the worst.
        found: The contrast for every pair of conditions.
        p: Function that returns the p-value of a contrast.
        alpha: Two conditions differ if the p-value of their contrast is below this level.
    """
    ranks = {name: rank for rank, name in enumerate(best_first)}
    columns: list[frozenset[int]] = [frozenset(ranks.values())]
    for one in found:
        if p(one) < alpha:
            columns = _absorbed(_inserted(columns, ranks[one.first], ranks[one.second]))
    ordered = sorted(columns, key=sorted)
    return {
        name: "".join(_letter(at) for at, column in enumerate(ordered) if rank in column)
        for name, rank in ranks.items()
    }


def _inserted(columns: Collection[frozenset[int]], i: int, j: int) -> list[frozenset[int]]:
    """Split each column that contains both conditions into two columns, each of which lacks one of
    the conditions.

    All other columns are returned unchanged.
    """
    found: list[frozenset[int]] = []
    for column in columns:
        found += [column - {i}, column - {j}] if {i, j} <= column else [column]
    return found


def _absorbed(columns: Collection[frozenset[int]]) -> list[frozenset[int]]:
    """Return the distinct columns that are not proper subsets of another column."""
    distinct = dict.fromkeys(columns)
    return [one for one in distinct if not any(one < other for other in distinct)]


def _letter(at: int) -> str:
    """Return the letter for a column's index: A to Z, then A1 to Z1, and so on."""
    number, place = divmod(at, len(string.ascii_uppercase))
    return f"{string.ascii_uppercase[place]}{number or ''}"
