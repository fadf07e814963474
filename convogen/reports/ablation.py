"""Comparison of the runs in a grid: each cell against the first cell, metric by metric.

The conversations in two cells are treated as independent samples. Each difference between means has
a 95% bootstrap interval and an effect size, Cliff's delta (Cliff, 1993). The p-values come from the
two-sided Mann-Whitney U test and are corrected for all comparisons in the grid with Holm's method
(Holm, 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convogen.metrics.tally import tally_of
from convogen.reports.intervals import Interval, difference_interval, mean_interval
from convogen.storage.run_folder import Run

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["METRICS", "CellMeans", "Comparison", "Difference", "compare", "holm", "values_of"]

METRICS = {
    "mtld": "MTLD",
    "ttr": "Type-token ratio",
    "words": "Words",
    "turns": "Turns",
    "words_per_turn": "Words per turn",
    "balance": "Participation balance",
    "longest_absence": "Longest absence, turns",
    "shot_similarity": "Similarity to the shots",
}
"""Maps each metric to its display name; a judge's average score is the metric `judge.<name>`."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of a cell minus the mean of the first cell, for one metric.

    `low` and `high` are the ends of the 95% interval, or None if the interval is undefined.
    `cliffs_delta`, -1 to 1, is the probability that a conversation in the cell has a greater value
    than a conversation in the first cell, minus the probability that it has a smaller value. `p` is
    the p-value of the Mann-Whitney U test, and `p_holm` is the corrected p-value.
    """

    cell: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    cliffs_delta: float
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class CellMeans:
    """A cell's run folder, its number of conversations, and its mean for each metric.

    A mean is None if no conversation has a value for the metric.
    """

    run: str
    conversations: int
    means: dict[str, Interval | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cells of a grid compared with the first cell.

    Attributes:
        n: Number of conversations compared per cell, taken from the start of each run.
        baseline: Name of the first cell.
        correction: Description of the correction applied to the p-values.
        effect_size: Name of the effect size.
        cells: Maps each cell's name to its results.
        differences: Differences between the other cells and the first cell, metric by metric.
    """

    n: int
    baseline: str
    correction: str
    effect_size: str
    cells: dict[str, CellMeans]
    differences: list[Difference]


def values_of(run: Run, n: int) -> DataFrame:
    """Return the metrics of the first `n` conversations, with one row per conversation and one
    column per metric.

    Missing values are NaN.
    """
    first = list(islice(run.conversations(), n))
    tally: Any = tally_of(first, "text").to_pandas()
    values = tally.astype("float64")
    values["words_per_turn"] = values["words"] / values["turns"]
    experiences: Any = run.to_pandas("experiences", ["id", "similarity"])
    of = experiences.set_index("id").reindex([one.experience for one in first])
    values["shot_similarity"] = of["similarity"].to_numpy()
    judged = _judged(run).reindex([one.id for one in first])
    return values[[*METRICS]].join(judged.add_prefix("judge.").reset_index(drop=True))


def compare(cells: Mapping[str, Run], n: int) -> Comparison:
    """Compare the cells' means over the first `n` conversations of each cell."""
    values: Mapping[str, Any] = {name: values_of(run, n) for name, run in cells.items()}
    metrics = list(dict.fromkeys(metric for found in values.values() for metric in found))
    base, *others = cells
    found = [
        one
        for name in others
        for metric in metrics
        if (one := _difference(name, metric, values[name], values[base])) is not None
    ]
    corrected = holm([one.p for one in found])
    differences = [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]
    means = {
        name: {metric: mean_interval(of.get(metric, [])) for metric in metrics}
        for name, of in values.items()
    }
    return Comparison(
        n=n,
        baseline=base,
        correction=f"Holm, over {len(found)} comparisons",
        effect_size="Cliff's delta",
        cells={
            name: CellMeans(str(cells[name].folder), len(of), means[name])
            for name, of in values.items()
        },
        differences=differences,
    )


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons (Holm, 1979), in the given order."""
    corrected, least = [0.0] * len(p), 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = least
    return corrected


def _difference(
    name: str, metric: str, cell: Mapping[str, Any], base: Mapping[str, Any]
) -> Difference | None:
    """Return the uncorrected difference in one metric; None if either cell has no value."""
    ours, theirs = _known(cell.get(metric, [])), _known(base.get(metric, []))
    interval = difference_interval(ours, theirs)
    if interval is None:
        return None
    stats: Any = import_module("scipy.stats")
    test = stats.mannwhitneyu(ours, theirs, alternative="two-sided", method="auto")
    delta = 2 * float(test.statistic) / (len(ours) * len(theirs)) - 1
    p = float(test.pvalue)
    return Difference(name, metric, interval.value, interval.low, interval.high, delta, p, p)


def _judged(run: Run) -> Any:
    """Return the judges' means over aspects, with one row per conversation and one column per
    judge."""
    scores: Any = run.to_pandas("scores", ["conversation", "judge", "value"])
    by = scores.dropna().groupby(["conversation", "judge"])["value"]
    return by.agg(_plain_mean).unstack("judge").reindex(columns=run.judges())


def _plain_mean(values: Any) -> float:
    """Return the mean, summed in order, since pandas' result depends on the pandas version."""
    return sum(values) / len(values)


def _known(values: Sequence[float]) -> Numbers:
    numbers = np.array(values, float)
    return numbers[~np.isnan(numbers)]
