"""The quality of a data set in numbers: statistics, diversity, repetition, group-chat quality.

>>> statistics = measure("valid.json", rendering="paper")
>>> round(statistics.mtld_mean, 3), round(statistics.mtld_std, 3)
(49.33, 12.069)

Protocols and formulas: ConvoGen, section IV, tables III and V; the modules name their sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from convogen.errors import UserError
from convogen.metrics.base import Measurement, Metric, measure_plugins
from convogen.metrics.corpus import (
    Batches,
    Measurable,
    Processes,
    Spread,
    as_batches,
    available_cores,
    tally_corpus,
)
from convogen.metrics.friction import Estimate, Friction, share_differences
from convogen.metrics.interaction import InteractionStatistics
from convogen.metrics.rendering import RENDERINGS, Rendering, render
from convogen.metrics.statistics import Distance, Statistics, distance, statistics_of
from convogen.metrics.tally import CorpusTally
from convogen.records import Conversation

__all__ = [
    "RENDERINGS",
    "CorpusTally",
    "Distance",
    "Estimate",
    "Friction",
    "InteractionStatistics",
    "Measurement",
    "Metric",
    "Processes",
    "Rendering",
    "Spread",
    "Statistics",
    "available_cores",
    "distance",
    "measure",
    "render",
    "share_differences",
    "statistics_of",
    "tally_corpus",
]


def measure(
    corpus: Measurable,
    rendering: Rendering = "text",
    workers: Processes = 1,
    compare: bool = True,
    interaction: bool = False,
) -> Statistics:
    """Return all measures of a corpus, including installed metrics in `metrics`.

    Args:
        corpus: a corpus, a run, the path of either, or conversations, which are kept in memory.
        rendering: how words are counted, one of `RENDERINGS`.
        workers: number of processes, or a cluster. With more than one process, the main module must
            be importable. Installed metrics run in this process, in a separate pass over the
            conversations in their order.
        compare: whether texts are compared with each other, to find copies.
        interaction: whether to also measure how people interact, which takes several times as long
            as all other measures.

    Raises:
        SourceError: the corpus cannot be read, or has no conversations.
        UserError: `corpus` is of a type that cannot be measured, or `rendering` is unknown.
    """
    if rendering not in RENDERINGS:
        raise UserError(
            f"measure: unknown rendering {rendering!r}; allowed: {', '.join(RENDERINGS)}"
        )
    batches = as_batches(corpus)
    tally = tally_corpus(batches, rendering, workers, interaction)
    found = statistics_of(tally, rendering, compare)
    return replace(found, metrics=measure_plugins(_conversations(batches)))


def _conversations(corpus: Batches) -> Iterator[Conversation]:
    for batch in corpus.batches(32):
        good, found = batch.read()
        corpus.note(found)
        yield from good
