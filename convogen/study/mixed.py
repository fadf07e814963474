"""Mixed models of answers, with a mean per condition and crossed random intercepts.

The methods are those in lme4 (Bates, Mächler, Bolker and Walker, 2015). Linear models minimise the
profiled REML criterion. Binomial models (logit link) minimise the Laplace-approximated deviance
jointly over variances and means; the covariance of the means comes from the full Hessian. Tests of
linear models use the containment method for effects that vary within every group: the denominator
degrees of freedom are the number of answers minus the joint rank of fixed and random effects.

convogen has its own code because no library fits both kinds well. With 800 simulated answers,
gpboost's standard errors were off by up to 46%; gpboost also imports optuna. statsmodels has only
Bayesian binomial mixed models, and its linear mixed models did not converge when a variance was 0.
The ports of lme4 on PyPI (lme-python, interlace-lme) compute standard errors from a Hessian with
the variances held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError
from convogen.study.design import Design
from convogen.study.likelihoods import Laplace, reml

__all__ = ["Fit", "fit_binomial", "fit_linear", "fit_shares", "fit_spreads"]

_STEP = 1e-3
_ZERO_VARIANCE = 1e-7
_NO_REMAINDER = 1e-6
_LARGEST_RATIO = 1e4
_LARGEST_DEVIATION = 10.0
"""Upper bound on the standard deviation of random intercepts, in log odds. At this value, most
outcomes are nearly certain."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model: the conditions' means with all random effects at 0, on the scale of the link.

    Attributes:
        conditions: The names of the conditions.
        means: One mean per condition; log odds if binomial.
        covariance: The covariance matrix of the means.
        deviations: Group -> standard deviation of its random intercepts; linear fits also have the
            standard deviation of the residuals, as `residual`.
        df: Denominator degrees of freedom; None if tests are asymptotic.
        n: Number of answers.
    """

    conditions: list[str]
    means: Numbers
    covariance: Numbers
    deviations: dict[str, float]
    df: int | None
    n: int


def fit_binomial(
    outcomes: Sequence[bool], conditions: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> Fit:
    """Return the fit of a binary outcome by condition, with a random intercept per group member.

    Args:
        outcomes: The outcome of each answer.
        conditions: The condition of each answer.
        groups: Name of a group -> the member of each answer.

    Raises:
        SourceError: There is no finite estimate.
    """
    design = Design.of(conditions, groups)
    y = np.asarray(outcomes, float)
    means = design.means(y)
    for name, mean in zip(design.conditions, means, strict=True):
        if mean in (0.0, 1.0):
            always = "all" if mean else "none"
            raise SourceError(
                f"{always} of the answers in condition {name!r} are positive, so its log odds are "
                "infinite (separation); a logit model needs both outcomes in every condition"
            )
    k = len(design.sizes)
    laplace = Laplace(design, y)
    start = np.concatenate([np.full(k, 0.25), np.log(means / (1 - means))])
    bounds = [(0.0, _LARGEST_DEVIATION**2)] * k + [(None, None)] * len(means)
    best = _minimum(lambda at: laplace(np.sqrt(at[:k]), at[k:]), start, bounds)
    variances = np.where(best[:k] < _ZERO_VARIANCE, 0.0, best[:k])
    best = np.concatenate([np.sqrt(variances), best[k:]])
    for name, deviation in zip(groups, best[:k], strict=True):
        if deviation > 0.99 * _LARGEST_DEVIATION:
            raise SourceError(
                f"nearly all answers for each {name} are the same, so the variance of the random "
                "intercepts has no finite estimate; more answers are needed"
            )
    hessian = _hessian(lambda at: laplace(at[:k], at[k:]), best)
    covariance = cast("Numbers", 2 * np.linalg.pinv(hessian)[k:, k:])
    if np.any(np.linalg.eigvalsh(hessian) <= 0) or np.any(np.diag(covariance) <= 0):
        raise SourceError(
            "the model did not converge; there are too few answers per condition and person"
        )
    deviations = dict(zip(groups, best[:k].tolist(), strict=True))
    return Fit(design.conditions, best[k:], covariance, deviations, None, len(y))


def fit_linear(
    values: Sequence[float], conditions: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> Fit:
    """Return the fit of a number by condition, with a random intercept per group member.

    The arguments and errors are as for `fit_binomial`, but `values` has one number per answer.
    """
    design = Design.of(conditions, groups)
    y = np.asarray(values, float)
    if np.ptp(y) == 0:
        raise SourceError("all values are the same, so there is no variation to explain")
    rank, left = design.left_by_all_effects(y - y.mean())
    df = len(y) - rank
    if df < 1:
        raise SourceError(
            f"{len(y)} answers are too few for {len(design.conditions)} conditions and "
            f"{sum(design.sizes)} random intercepts"
        )
    if left < _NO_REMAINDER * len(y) * float(y.var()):
        raise SourceError(
            f"the condition, the {' and the '.join(groups)} determine the values exactly; a "
            f"model needs residual variance"
        )
    scale = float(y.std())
    criterion = partial(reml, design, (y - y.mean()) / scale)
    bounds = [(0.0, _LARGEST_RATIO**2)] * len(design.sizes)
    best = _minimum(lambda at: criterion(np.sqrt(at))[0], np.full(len(bounds), 0.25), bounds)
    best = np.where(best < _ZERO_VARIANCE, 0.0, best)
    _, means, covariance, residual = criterion(np.sqrt(best))
    deviations = dict(zip(groups, (np.sqrt(best) * residual * scale).tolist(), strict=True))
    deviations["residual"] = residual * scale
    means, covariance = means * scale + y.mean(), covariance * scale**2
    return Fit(design.conditions, means, covariance, deviations, df, len(y))


def fit_shares(counts: Mapping[str, tuple[int, int]]) -> Fit:
    """Return the binomial fit without random effects.

    Args:
        counts: Condition -> number of positive answers, number of all answers. Each condition must
            have both outcomes.
    """
    positive, n = (np.array(column, float) for column in zip(*counts.values(), strict=True))
    means = np.log(positive / (n - positive))
    variances: Numbers = n / (positive * (n - positive))
    return Fit([*counts], means, np.diag(variances), {}, None, int(n.sum()))


def fit_spreads(spreads: Mapping[str, tuple[int, float, float]]) -> Fit:
    """Return the linear fit without random effects.

    Args:
        spreads: Condition -> number of answers, their mean, and their sample standard deviation.
    """
    n, means, stds = (np.array(column, float) for column in zip(*spreads.values(), strict=True))
    df = int(n.sum()) - len(n)
    variance = float((n - 1) @ stds**2) / df
    variances: Numbers = variance / n
    deviations = {"residual": math.sqrt(variance)}
    return Fit([*spreads], means, np.diag(variances), deviations, df, int(n.sum()))


def _minimum(function: Callable[[Numbers], float], start: Numbers, bounds: Any) -> Numbers:
    """Return the arguments that minimise a function.

    The arguments include variances rather than standard deviations, since every derivative with
    respect to a standard deviation vanishes at 0.
    """
    optimize: Any = import_module("scipy.optimize")
    found = optimize.minimize(
        function,
        start,
        method="L-BFGS-B",
        jac="3-point",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-5},
    )
    return np.asarray(found.x, float)


def _hessian(function: Callable[[Numbers], float], at: Numbers) -> Numbers:
    """Return the matrix of second derivatives, computed by central differences."""
    steps = np.eye(len(at)) * _STEP
    middle, hessian = function(at), np.empty((len(at), len(at)))
    for i, one in enumerate(steps):
        hessian[i, i] = (function(at + one) - 2 * middle + function(at - one)) / _STEP**2
        for j, other in enumerate(steps[:i]):
            both = function(at + one + other) + function(at - one - other)
            mixed = function(at + one - other) + function(at - one + other)
            hessian[i, j] = hessian[j, i] = (both - mixed) / (4 * _STEP**2)
    return hessian
