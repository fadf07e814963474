"""Quality measures for a data set: statistics, diversity, repetition and group-chat quality.

>>> statistics = measure("valid.json", rendering="paper")
>>> round(statistics.mtld_mean, 3), round(statistics.mtld_std, 3)
(49.33, 12.069)

The measures of ConvoGen's tables III and V follow section IV of the paper. Each module names the
sources of its formulas.
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
    """Return all measures of a corpus; `metrics` contains the values of installed metrics.

    Args:
        corpus: A corpus, a run, the path to either, or conversations, which are kept in memory.
        rendering: Form in which a conversation's words are counted, one of `RENDERINGS`.
        workers: Number of processes, or a cluster. With more than one process, the main module must
            be importable. Installed metrics run in the calling process, in a separate pass over the
            conversations in corpus order.
        compare: Whether to compute self-BLEU and ROUGE-L, which are slow.
        interaction: Whether to measure how speakers interact, which takes several times as long as
            all other measures.

    Raises:
        SourceError: The corpus cannot be read or contains no conversations.
        UserError: `corpus` has a type that cannot be measured, or `rendering` is unknown.
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
