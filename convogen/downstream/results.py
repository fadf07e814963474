"""Comparison of fine-tuning on synthetic data with fine-tuning on in-domain data and with none.

The formulas are equations 1 and 2 in section 5.2 of DiaSynth. A cell is the value of one metric for
one model on the held-out dialogues. Intervals are bootstrapped over these dialogues, as in
`reports.intervals`, with the same resamples for all cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.papers.diasynth.downstream_gains import coverage, percentage_improvement
from convogen.reports.intervals import Interval, bootstrap_ends

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
"""The arms, named after their training data; `base` is the model without fine-tuning."""

Numbers = NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""Function that maps resamples to metric values.

The argument, with shape (…, dialogues), contains the number of times that each held-out dialogue
occurs in a resample."""


@dataclass(frozen=True)
class Drawn:
    """A value computed from `n` of the `total` held-out dialogues, and its formula for resamples.

    If the value is a mean, `scores` contains each dialogue's score, or None if it is missing.
    """

    value: float
    statistic: Statistic
    n: int
    total: int
    scores: tuple[float | None, ...] | None = None

    def interval(self) -> Interval:
        """Return the value with its interval, whose ends are None for fewer than two dialogues."""
        return _intervals([self])[0]


Cells = Mapping[str, Mapping[str, Drawn | None]]
"""Maps each arm and metric to a value; all values use the same dialogues in the same order."""


Row = dict[str, Interval | None]
"""Maps each metric to its value with an interval, or to None if there is no value."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Results for each kind of training data.

    Attributes:
        arms: For each arm, the value of each metric.
        improvement: For each arm, the improvement over the untuned model in percent. The keys are
            the metrics and `average`, the mean over the metrics. None if the untuned model was not
            evaluated.
        coverage: For each arm, the coverage of in-domain data in percent, with the same keys as
            `improvement`. None if no model was trained on in-domain data.
    """

    arms: dict[str, Row]
    improvement: dict[str, Row | None]
    coverage: dict[str, Row | None]


def drawn_mean(values: Sequence[float | None]) -> Drawn | None:
    """Return the mean over the dialogues that have a score, or None if no dialogue has a score."""
    numbers = np.array([np.nan if value is None else value for value in values], float)
    there = ~np.isnan(numbers)
    if not there.any():
        return None
    known, scored = np.where(there, numbers, 0.0), there.astype(float)

    def mean(counts: Numbers) -> Numbers:
        return (counts @ known) / (counts @ scored)

    value, n = float(numbers[there].mean()), int(there.sum())
    return Drawn(value, mean, n, len(numbers), tuple(values))


def drawn_macro_f1(labels: Sequence[str], predicted: Sequence[str]) -> Drawn:
    """Return the mean F1 (0 to 1) over all labels that occur or are predicted."""
    known = sorted({*labels, *predicted})
    rows = np.array(known)
    true = np.asarray(np.array(labels)[:, None] == rows, float)
    said = np.asarray(np.array(predicted)[:, None] == rows, float)
    right, given = true * said, true + said

    def macro_f1(counts: Numbers) -> Numbers:
        both, either = counts @ right, counts @ given
        f1 = np.divide(2 * both, either, out=np.zeros(both.shape), where=either > 0)
        return f1.sum(axis=-1) / (either > 0).sum(axis=-1)

    n = len(labels)
    return Drawn(float(macro_f1(np.ones(n))), macro_f1, n, n)


def results(cells: Cells) -> Compared:
    """Return the cells, the improvement over `base` and the coverage of `in_domain` for each arm.

    A comparison is None if the arm to compare with is missing or has a mean of 0.
    """
    others = [arm for arm in cells if arm != "base"]
    ours = [arm for arm in others if arm != "in_domain"]
    improvement = {
        arm: _compared(cells[arm], cells.get("base"), percentage_improvement) for arm in others
    }
    in_domain = {arm: _compared(cells[arm], cells.get("in_domain"), coverage) for arm in ours}
    rows = [*cells.values(), *improvement.values(), *in_domain.values()]
    numbers = [number for row in rows if row for number in row.values() if number]
    intervals = iter(_intervals(numbers))

    def row_of(row: Mapping[str, Drawn | None]) -> Row:
        return {metric: next(intervals) if number else None for metric, number in row.items()}

    return Compared(
        {arm: row_of(row) for arm, row in cells.items()},
        {arm: row_of(row) if row else None for arm, row in improvement.items()},
        {arm: row_of(row) if row else None for arm, row in in_domain.items()},
    )


def _intervals(numbers: Sequence[Drawn]) -> list[Interval]:
    """Return each value with its interval, using the same resamples for all values."""
    total = numbers[0].total if numbers else 0
    ends = np.full((2, len(numbers)), np.nan)
    if numbers and total > 1:

        def statistics(rows: NDArray[np.int64], axis: int = -1) -> Numbers:
            counts = _counts(np.moveaxis(rows, axis, -1), total)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.array([one.statistic(counts) for one in numbers])

        ends = np.array(bootstrap_ends((np.arange(total),), statistics))
    return [
        Interval(one.value, float(low), float(high), one.n)
        if one.n > 1 and not np.isnan(low + high)
        else Interval(one.value, None, None, one.n)
        for one, low, high in zip(numbers, *ends, strict=True)
    ]


def _counts(rows: NDArray[np.int64], total: int) -> Numbers:
    """Return how often each of `total` dialogues occurs along the last axis."""
    flat = rows.reshape(-1, rows.shape[-1])
    cells = flat + total * np.arange(len(flat))[:, None]
    counts = np.bincount(cells.ravel(), minlength=total * len(flat))
    return counts.reshape(*rows.shape[:-1], total).astype(float)


def _compared(
    row: Mapping[str, Drawn | None],
    base: Mapping[str, Drawn | None] | None,
    formula: Callable[[Any, Any], Any],
) -> dict[str, Drawn | None] | None:
    """Apply a formula to each metric's value and base value, and add the average of the results.

    Only dialogues that have both scores are used.
    """
    if base is None:
        return None
    found: dict[str, Drawn | None] = {}
    for metric, one in row.items():
        one, other = _in_common(one, base.get(metric))
        found[metric] = None
        if one is not None and other is not None and other.value:
            found[metric] = _combined(formula, one, other)
    found["average"] = _average([*found.values()])
    return found


def _combined(formula: Callable[..., Any], *cells: Drawn) -> Drawn:
    """Apply a formula to the cells' values, and to the cells' values in each resample."""

    def statistic(counts: Numbers) -> Numbers:
        return formula(*(cell.statistic(counts) for cell in cells))

    value = float(formula(*(cell.value for cell in cells)))
    return Drawn(value, statistic, min(cell.n for cell in cells), cells[0].total)


def _in_common(one: Drawn | None, other: Drawn | None) -> tuple[Drawn | None, Drawn | None]:
    """Return both means, restricted to the dialogues that have both scores."""
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
    """Return the mean over cells, or None if a cell is missing."""
    known = [one for one in cells if one is not None]
    if not known or len(known) < len(cells):
        return None
    return _combined(_mean, *known)


def _mean(*numbers: Any) -> Any:
    return sum(numbers) / len(numbers)
