"""The objectives of mixed models: the Laplace approximation of a likelihood, and the REML
criterion."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convogen.study.design import Design

__all__ = ["Laplace", "reml"]

_CONVERGED = 1e-10
_SMALL_STEP = 1e-3
_MOST_STEPS = 100

Numbers = NDArray[np.float64]


class Laplace:
    """The Laplace approximation of a binomial model's -2 log likelihood, up to a constant."""

    def __init__(self, design: Design, y: Numbers) -> None:
        self._design, self._y = design, y
        self._modes: Numbers = np.zeros(sum(design.sizes), np.float64)

    def __call__(self, theta: Numbers, means: Numbers) -> float:
        """Return the value for group standard deviations `theta` and condition means `means`.

        Newton's method with step halving finds the modes of the random effects. The search starts
        from the modes that the previous evaluation found.
        """
        design, y, scaled = self._design, self._y, self._design.scaled(theta)
        fixed, u = means[design.condition], self._modes
        eta = fixed + design.spread(scaled * u)
        value = _penalized(eta, y, u)
        for _ in range(_MOST_STEPS):
            fitted = _shares(eta)
            step = np.linalg.solve(
                _information(design, scaled, fitted), scaled * design.by_member(y - fitted) - u
            )
            while True:
                new = u + step
                eta_new = fixed + design.spread(scaled * new)
                value_new = _penalized(eta_new, y, new)
                if value_new <= value + _CONVERGED or float(np.abs(step).max()) < _CONVERGED:
                    break
                step = step / 2
            done = value - value_new < _CONVERGED and float(np.abs(step).max()) < _SMALL_STEP
            u, eta, value = new, eta_new, value_new
            if done:
                break
        self._modes = u
        fitted = _shares(eta)
        return value + float(np.linalg.slogdet(_information(design, scaled, fitted))[1])


def _shares(log_odds: Numbers) -> Numbers:
    return 0.5 * (1 + np.tanh(log_odds / 2))  # exp would overflow


def _penalized(eta: Numbers, y: Numbers, u: Numbers) -> float:
    return float(2 * (np.logaddexp(0, eta) - y * eta).sum() + u @ u)


def _information(design: Design, scaled: Numbers, fitted: Numbers) -> Numbers:
    crossed = design.crossed(fitted * (1 - fitted))
    return scaled[:, None] * crossed * scaled + np.eye(len(scaled))


def reml(design: Design, y: Numbers, theta: Numbers) -> tuple[float, Numbers, Numbers, float]:
    """Return the REML criterion, the means, their covariance and the residual standard deviation.

    `theta` contains the groups' standard deviations, divided by the residual standard deviation.
    """
    linalg: Any = import_module("scipy.linalg")
    ones, scaled = np.ones(len(y)), design.scaled(theta)
    whole = scaled[:, None] * design.crossed(ones) * scaled + np.eye(len(scaled))
    lower = np.linalg.cholesky(whole)
    right = np.column_stack([design.members_by_condition(), design.by_member(y)])
    solved = linalg.solve_triangular(lower, scaled[:, None] * right, lower=True)
    zx, zy = solved[:, :-1], solved[:, -1]
    within = np.diag(design.by_condition(ones)) - zx.T @ zx
    root = cast("Numbers", np.linalg.cholesky(within))
    half = linalg.solve_triangular(root, design.by_condition(y) - zx.T @ zy, lower=True)
    means = linalg.solve_triangular(root.T, half)
    free = len(y) - len(means)
    squares = max(float(y @ y - zy @ zy - half @ half), np.finfo(float).tiny)
    logs = 2 * float(np.log(np.diag(lower)).sum() + np.log(np.diag(root)).sum())
    criterion = logs + free * (1 + math.log(2 * math.pi * squares / free))
    inverse = linalg.solve_triangular(root, np.eye(len(means)), lower=True)
    variance = squares / free
    return criterion, means, variance * inverse.T @ inverse, math.sqrt(variance)
