"""How good a data set is, in numbers: statistics, diversity, repetition, group-chat quality.

>>> statistics = measure(open_corpus("valid.json"), rendering="paper")
>>> round(statistics.mtld_mean, 3), round(statistics.mtld_std, 3)
(49.33, 12.069)

Protocols and formulas: ConvoGen, section IV, tables III and V; the modules name their sources.
"""

from __future__ import annotations

from convogen.metrics.corpus import Batches, available_cores, tally_corpus
from convogen.metrics.rendering import RENDERINGS, Rendering, render
from convogen.metrics.statistics import Distance, Statistics, distance, statistics_of
from convogen.metrics.tally import Tally

__all__ = [
    "RENDERINGS",
    "Distance",
    "Rendering",
    "Statistics",
    "Tally",
    "available_cores",
    "distance",
    "measure",
    "render",
    "statistics_of",
    "tally_corpus",
]


def measure(
    corpus: Batches, rendering: Rendering = "text", workers: int = 1, compare: bool = True
) -> Statistics:
    """All measures of a corpus; with more than one worker the main module must be importable."""
    return statistics_of(tally_corpus(corpus, rendering, workers), rendering, compare)
