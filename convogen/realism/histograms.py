"""The distribution of a feature over the conversations of a corpus, in a few bins with about equal
shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError
from convogen.realism.features import Feature, measure, without_rules
from convogen.realism.reading import Reading
from convogen.realism.samples import sample
from convogen.records import Conversation

__all__ = ["Histogram", "human_histograms", "total_variation"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """The distribution of one feature.

    Attributes:
        feature: The feature.
        cuts: Inclusive upper limits of all bins except the last, in ascending order.
        shares: Share of the corpus's conversations in each bin. There is one more bin than there
            are cuts, and no bin is empty.
        mean: Mean of the feature over the corpus's conversations.
    """

    feature: Feature
    cuts: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float

    @classmethod
    def of(cls, feature: Feature, values: NDArray[np.float64], bins: int) -> Histogram:
        """Return the histogram of values in at most `bins` bins, with equal shares if possible.

        The cuts are quantiles. Equal quantiles are merged, so no value is in two bins.
        """
        levels = np.arange(1, bins) / bins
        quantiles = np.unique(np.quantile(values, levels, method="inverted_cdf"))
        cuts = quantiles[quantiles < values.max()]
        counts = np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1)
        shares = counts / len(values)
        return cls(
            feature, tuple(map(float, cuts)), tuple(map(float, shares)), float(values.mean())
        )

    def bin(self, value: float) -> int:
        """Return the index of the bin that contains a value."""
        return int(np.searchsorted(self.cuts, value))

    def shares_of(self, values: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the share of the values in each bin."""
        counts = np.bincount(np.searchsorted(self.cuts, values), minlength=len(self.shares))
        return tuple(map(float, counts / max(1, len(values))))


def human_histograms(
    conversations: Iterable[Conversation], name: str, features: Sequence[Feature], bins: int
) -> list[Histogram]:
    """Return a histogram for each feature of a corpus, computed from a sample if the corpus is
    large.

    Raises `SourceError`, whose message calls the corpus by its `name`, if the corpus is too small
    (`samples.FEWEST`), or if a feature's rules support none of the corpus's languages.
    """
    dialogues = sample(conversations, name)
    languages = (Reading(one).interaction.language for one in dialogues)
    if unknown := without_rules(features, languages):
        raise SourceError(
            f"{name}: {unknown} can only be detected in English, but the corpus contains nothing "
            "in English; leave the feature out"
        )
    values = measure(dialogues, features)
    return [Histogram.of(one, values[:, at], bins) for at, one in enumerate(features)]


def total_variation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the total variation distance between two distributions over the same bins, 0 to 1."""
    return float(np.abs(np.asarray(one) - np.asarray(other)).sum() / 2)
