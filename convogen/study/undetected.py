"""For each condition, the share of simulated dialogues that people fail to detect, with its 95%
interval.

Each answer is weighted by the inverse of its pair's sampling probability (Hájek, 1971). Standard
errors are linearised. They are robust to correlation between the answers of one participant and
between the answers about one source person (two-way clustering: Cameron, Gelbach and Miller, 2011).
Intervals use quantiles of the t distribution. Pairs that were drawn but not answered are assumed to
be missing at random.

A judge's verdicts on all pairs can shorten the intervals through prediction-powered inference
(Angelopoulos and others, 2023). The estimate is the judge's mean over all pairs, corrected for its
mean error on the answered pairs. The judge's weight minimises the variance (PPI++: Angelopoulos,
Duchi and Zrnic, 2024). As in active statistical inference (Zrnic and Candès, 2024), answers are
weighted by inverse probabilities. A judge that does not predict people's answers gets weight 0.
`convogen.reports.calibration` computes the same estimate for answers that are equally probable and
independent. The reference implementation, ppi-python, does not support clusters and would install
numba, scikit-learn, statsmodels and gdown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.reports.intervals import LEVEL
from convogen.study.answers import PairAnswer
from convogen.study.verdicts import PairVerdict, verdicts_on

__all__ = ["Bounds", "Rate", "RateDifference", "undetected"]

NO_VERDICT = 0.5
"""The prediction for a pair without a verdict."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number with its 95% interval; the ends are None if no interval can be computed."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """The share of a condition's pairs that people do not detect, 0 to 1.

    Attributes:
        condition: The name of the condition.
        answers: Number of answered pairs.
        pairs: Number of pairs that were answered or have a verdict.
        alone: The share estimated from answers alone.
        powered: The share estimated from answers and verdicts; None without verdicts.
        weight: The judge's weight, 0 to 1; None without verdicts.
    """

    condition: str
    answers: int
    pairs: int
    alone: Bounds
    powered: Bounds | None
    weight: float | None


@dataclass(frozen=True, slots=True)
class RateDifference:
    """The first condition's share minus the second's; see `Rate`."""

    first: str
    second: str
    alone: Bounds
    powered: Bounds | None


def undetected(
    answers: Sequence[PairAnswer], verdicts: Sequence[PairVerdict] | None = None
) -> tuple[list[Rate], list[RateDifference]]:
    """Return each condition's share, and the difference between the shares of every two conditions.

    Args:
        answers: One or more answers, none of them to attention checks.
        verdicts: A judge's verdicts on the answered pairs and any further pairs; None without a
            judge.
    """
    by_condition: dict[str, list[PairAnswer]] = defaultdict(list)
    for one in answers:
        by_condition[one.condition].append(one)
    judged: dict[str, list[PairVerdict]] = defaultdict(list)
    for verdict in verdicts or ():
        judged[verdict.condition].append(verdict)
    pools = {name: _pool(of, judged[name]) for name, of in by_condition.items()}
    alone = {name: _estimate(pool, 0.0) for name, pool in pools.items()}
    weights = {name: _best_weight(pool) for name, pool in pools.items()}
    powered = {name: _estimate(pool, weights[name]) for name, pool in pools.items() if judged[name]}
    rates = [
        Rate(
            condition=name,
            answers=len(pool.labels),
            pairs=len(pool.predicted),
            alone=_bounds(alone[name], 0.0),
            powered=_bounds(powered[name], 0.0) if name in powered else None,
            weight=weights[name] if name in powered else None,
        )
        for name, pool in pools.items()
    ]
    differences = [
        RateDifference(
            first=one,
            second=other,
            alone=_bounds(_minus(alone[one], alone[other]), -1.0),
            powered=(
                _bounds(_minus(powered[one], powered[other]), -1.0)
                if one in powered and other in powered
                else None
            ),
        )
        for one, other in combinations(pools, 2)
    ]
    return rates, differences


@dataclass(frozen=True, slots=True)
class _Pool:
    """The pairs of a condition, with the answered pairs first.

    `labels` (1 if undetected) and `weights` (which add up to 1) have one entry per answered pair.
    `predicted` and both `clusters` (participants and source persons) have one entry per pair.
    """

    labels: Numbers
    weights: Numbers
    predicted: Numbers
    clusters: tuple[list[str], list[str]]


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A share, or a difference of shares, and the influence of each pair on this value.

    `answered` marks the pairs with an answer.
    """

    value: float
    influence: Numbers
    answered: NDArray[np.bool_]
    clusters: tuple[list[str], list[str]]


def _pool(answers: Sequence[PairAnswer], verdicts: Sequence[PairVerdict]) -> _Pool:
    matched = verdicts_on(verdicts, answers)
    used = {id(one) for one in matched}
    others = [one for one in verdicts if id(one) not in used]
    weights = np.array([1 / one.probability for one in answers])
    whose = [f"answered by {one.participant}" for one in answers]
    about = [f"about {one.source_person}" for one in answers]
    for nth, one in enumerate(others):
        whose.append(f"unanswered {one.condition} {nth}")
        about.append(
            f"about {one.source_person}"
            if one.source_person is not None
            else f"unknown {one.condition} {nth}"
        )
    return _Pool(
        labels=np.array([not one.detected for one in answers], float),
        weights=weights / weights.sum(),
        predicted=np.array([_predicted(one) for one in (*matched, *others)], float),
        clusters=(whose, about),
    )


def _predicted(verdict: PairVerdict | None) -> float:
    return NO_VERDICT if verdict is None or verdict.undetected is None else verdict.undetected


def _directions(pool: _Pool) -> tuple[Numbers, Numbers]:
    """Return each pair's influence on the estimate from answers alone, and the influence that a
    judge with weight 1 adds."""
    n, size = len(pool.labels), len(pool.predicted)
    by_answers, by_judge = np.zeros(size), (pool.predicted - pool.predicted.mean()) / size
    by_answers[:n] = pool.weights * (pool.labels - pool.weights @ pool.labels)
    guesses = pool.predicted[:n]
    by_judge[:n] -= pool.weights * (guesses - pool.weights @ guesses)
    return by_answers, by_judge


def _best_weight(pool: _Pool) -> float:
    """Return the judge's weight, 0 to 1, that minimises the sum of squared influences."""
    by_answers, by_judge = _directions(pool)
    squares = float(by_judge @ by_judge)
    if squares < np.finfo(float).eps / len(by_judge):
        return 0.0
    return min(1.0, max(0.0, -float(by_answers @ by_judge) / squares))


def _estimate(pool: _Pool, weight: float) -> _Estimate:
    n = len(pool.labels)
    by_answers, by_judge = _directions(pool)
    errors = pool.labels - weight * pool.predicted[:n]
    return _Estimate(
        value=float(pool.weights @ errors + weight * pool.predicted.mean()),
        influence=by_answers + weight * by_judge,
        answered=np.arange(len(pool.predicted)) < n,
        clusters=pool.clusters,
    )


def _minus(one: _Estimate, other: _Estimate) -> _Estimate:
    return _Estimate(
        value=one.value - other.value,
        influence=np.concatenate([one.influence, -other.influence]),
        answered=np.concatenate([one.answered, other.answered]),
        clusters=(
            [*one.clusters[0], *other.clusters[0]],
            [*one.clusters[1], *other.clusters[1]],
        ),
    )


def _bounds(found: _Estimate, least: float) -> Bounds:
    """Return an estimate with its interval, both clipped to the range from `least` to 1."""
    value = min(1.0, max(least, found.value))
    variance, df = _variance(found)
    if df < 1 or variance <= np.finfo(float).eps ** 2:
        return Bounds(value, None, None)
    stats: Any = import_module("scipy.stats")
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * math.sqrt(variance)
    return Bounds(value, max(least, found.value - half), min(1.0, found.value + half))


def _variance(found: _Estimate) -> tuple[float, int]:
    """Return the variance of an estimate and the degrees of freedom of its interval."""
    n = int(found.answered.sum())
    plain = float(found.influence @ found.influence) * n / max(n - 1, 1)
    clustered: list[float] = []
    df = n - 1
    for labels in found.clusters:
        groups = len({label for label, known in zip(labels, found.answered, strict=True) if known})
        if 1 < groups < n:
            sums = _sums(labels, found.influence)
            clustered.append(float(sums @ sums) * groups / (groups - 1))
            df = min(df, groups - 1)
    if len(clustered) < 2:
        return (clustered[0] if clustered else plain), df
    both = [f"{len(one)} {one} {other}" for one, other in zip(*found.clusters, strict=True)]
    shared = _sums(both, found.influence)
    variance = sum(clustered) - float(shared @ shared) * n / max(n - 1, 1)
    return (variance if variance > 0 else max(clustered)), df


def _sums(labels: Sequence[str], values: Numbers) -> Numbers:
    places: Mapping[str, int] = {name: at for at, name in enumerate(dict.fromkeys(labels))}
    at = np.array([places[label] for label in labels], np.int64)
    return np.bincount(at, values, len(places)).astype(np.float64)
