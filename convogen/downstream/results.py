"""What fine-tuning on synthetic data brings, and how much of in-domain data's worth it has.

DiaSynth, section 5.2, equations 1 and 2. A cell is the mean of a metric of a model over the
held-out dialogues. Intervals are percentile bootstraps over these dialogues, the same resample in
all cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.papers.diasynth.downstream_gains import coverage, percentage_improvement
from convogen.reports.intervals import LEVEL, RESAMPLES, Interval

__all__ = [
    "ARMS",
    "Cells",
    "Compared",
    "Drawn",
    "Row",
    "drawn_macro_f1",
    "drawn_mean",
    "results",
]

ARMS = ("base", "synthetic", "in_domain", "both")
"""What a model was fine-tuned on; `base` on nothing."""

_SEED = 20_241

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """A number of `n` dialogues, and what it is in every resample of them.

    Of a mean also the `scores` of all dialogues, None where one has none.
    """

    value: float
    draws: Numbers
    n: int
    scores: tuple[float | None, ...] | None = None

    def interval(self) -> Interval:
        """Return the number with its interval; it has none for fewer than two dialogues."""
        if self.n < 2 or not np.isfinite(self.draws).all():
            return Interval(self.value, None, None, self.n)
        tail = 50 * (1 - LEVEL)
        low, high = np.percentile(self.draws, [tail, 100 - tail])
        return Interval(self.value, float(low), float(high), self.n)


Cells = Mapping[str, Mapping[str, Drawn | None]]
"""By arm and metric, all of the same held-out dialogues in the same order."""


Row = dict[str, Interval | None]
"""By metric; None if there is no value."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What models came to by what they were fine-tuned on.

    Attributes:
        arms: The cells.
        improvement: Over the model as it is, in percent, with the `average` over the metrics; None
            if that was not evaluated.
        coverage: Of in-domain data, in percent, likewise.
    """

    arms: dict[str, Row]
    improvement: dict[str, Row | None]
    coverage: dict[str, Row | None]


def drawn_mean(values: Sequence[float | None]) -> Drawn | None:
    """The mean over the dialogues that have a score; None where none has."""
    numbers = np.array([np.nan if value is None else value for value in values], float)
    there = ~np.isnan(numbers)
    if not there.any():
        return None
    counts = _counts(len(numbers))
    sums, weights = counts @ np.where(there, numbers, 0.0), counts @ there.astype(float)
    drawn = np.divide(sums, weights, out=np.full(len(counts), np.nan), where=weights > 0)
    return Drawn(float(numbers[there].mean()), drawn, int(there.sum()), tuple(values))


def drawn_macro_f1(labels: Sequence[str], predicted: Sequence[str]) -> Drawn:
    """The mean F1 over the labels that occur or are predicted, 0 to 1."""
    known = sorted({*labels, *predicted})
    rows = np.array(known)
    true = np.asarray(np.array(labels)[:, None] == rows, float)
    said = np.asarray(np.array(predicted)[:, None] == rows, float)
    counts = np.concatenate([np.ones((1, len(labels))), _counts(len(labels))])
    both, either = counts @ (true * said), counts @ (true + said)
    f1 = np.divide(2 * both, either, out=np.zeros(both.shape), where=either > 0)
    means = f1.sum(axis=1) / (either > 0).sum(axis=1)
    return Drawn(float(means[0]), means[1:], len(labels))


def _counts(n: int) -> Numbers:
    """How often each of n dialogues is in each resample; shape (resamples, n)."""
    drawn = np.random.default_rng(_SEED).integers(0, n, (RESAMPLES, n))
    counts = np.zeros((RESAMPLES, n))
    np.add.at(counts, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    return counts


def results(cells: Cells) -> Compared:
    """Return the cells, improvement over `base` and coverage of `in_domain`, by arm.

    A comparison is None if an arm is missing or its mean is 0.
    """
    others = [arm for arm in cells if arm != "base"]
    ours = [arm for arm in others if arm != "in_domain"]
    return Compared(
        {arm: _row(row) for arm, row in cells.items()},
        {arm: _compared(cells[arm], cells.get("base"), percentage_improvement) for arm in others},
        {arm: _compared(cells[arm], cells.get("in_domain"), coverage) for arm in ours},
    )


def _row(row: Mapping[str, Drawn | None]) -> Row:
    return {metric: one.interval() if one else None for metric, one in row.items()}


def _compared(
    row: Mapping[str, Drawn | None],
    base: Mapping[str, Drawn | None] | None,
    formula: Callable[[Any, Any], Any],
) -> Row | None:
    """A formula of every metric and its base, and the average over them.

    Each over the dialogues that have both scores.
    """
    if base is None:
        return None
    found: dict[str, Drawn | None] = {}
    for metric, one in row.items():
        one, other = _in_common(one, base.get(metric))
        found[metric] = None
        if one is not None and other is not None and other.value:
            with np.errstate(divide="ignore", invalid="ignore"):
                draws = formula(one.draws, other.draws)
            value = float(formula(one.value, other.value))
            found[metric] = Drawn(value, draws, min(one.n, other.n))
    found["average"] = _average([*found.values()])
    return _row(found)


def _in_common(one: Drawn | None, other: Drawn | None) -> tuple[Drawn | None, Drawn | None]:
    """Two means, over the dialogues that both have a score of."""
    if one is None or other is None or one.scores is None or other.scores is None:
        return one, other
    lacking = [at for at, score in enumerate(one.scores) if score is None]
    if lacking == [at for at, score in enumerate(other.scores) if score is None]:
        return one, other
    pairs = list(zip(one.scores, other.scores, strict=True))
    return (
        drawn_mean([None if theirs is None else ours for ours, theirs in pairs]),
        drawn_mean([None if ours is None else theirs for ours, theirs in pairs]),
    )


def _average(cells: Sequence[Drawn | None]) -> Drawn | None:
    """The mean over cells; None where one is missing."""
    known = [one for one in cells if one is not None]
    if not known or len(known) < len(cells):
        return None
    value = sum(one.value for one in known) / len(known)
    return Drawn(value, np.mean([one.draws for one in known], axis=0), min(one.n for one in known))
