"""How good a data set is, in numbers: statistics, diversity, repetition, group-chat quality.

>>> statistics = measure("valid.json", rendering="paper")
>>> round(statistics.mtld_mean, 3), round(statistics.mtld_std, 3)
(49.33, 12.069)

Protocols and formulas: ConvoGen, section IV, tables III and V; the modules name their sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convogen.corpora import open_corpus
from convogen.metrics.base import Measurement, Metric, measure_plugins
from convogen.metrics.corpus import Batches, available_cores, tally_corpus
from convogen.metrics.rendering import RENDERINGS, Rendering, render
from convogen.metrics.statistics import Distance, Statistics, distance, statistics_of
from convogen.metrics.tally import Tally
from convogen.store import Run
from convogen.types import Conversation

__all__ = [
    "RENDERINGS",
    "Distance",
    "Measurement",
    "Metric",
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
    corpus: Batches | Run | str | Path,
    rendering: Rendering = "text",
    workers: int = 1,
    compare: bool = True,
) -> Statistics:
    """Return all measures of a corpus, those of installed metrics in `metrics`.

    A run, and whatever `open_corpus` opens, will do. With more than one worker the main module must
    be importable. Installed metrics see the conversations in their order, in a pass of their own in
    this process.
    """
    if isinstance(corpus, Run):
        corpus = corpus.folder
    if isinstance(corpus, str | Path):
        corpus = open_corpus(corpus)
    found = statistics_of(tally_corpus(corpus, rendering, workers), rendering, compare)
    return replace(found, metrics=measure_plugins(_conversations(corpus)))


def _conversations(corpus: Batches) -> Iterator[Conversation]:
    for batch in corpus.batches(32):
        good, found = batch.read()
        corpus.note(found)
        yield from good
