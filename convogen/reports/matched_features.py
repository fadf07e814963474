"""Distributions of features in a run and in the corpus that the run is matched to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.realism.features import Feature, features_named, measure
from convogen.realism.histograms import Histogram, total_variation
from convogen.realism.samples import dialogue_of, sample
from convogen.records import Conversation
from convogen.storage.run_folder import Run

__all__ = ["FeatureSpread", "MatchedFeature", "MatchedFeatures", "Target", "matched_features"]

_BINS = 4


@dataclass(frozen=True, slots=True)
class FeatureSpread:
    """The distribution of a feature over conversations.

    Attributes:
        mean: Mean over conversations, in the feature's unit.
        shares: Share of the conversations in each bin, 0 to 1.
        distance: Wasserstein distance from the corpus, in the feature's unit.
        total_variation: Total variation distance between the run's shares and the corpus's shares,
            0 to 1.
    """

    mean: float
    shares: tuple[float, ...]
    distance: float
    total_variation: float


@dataclass(frozen=True, slots=True)
class MatchedFeature:
    """A feature in the corpus and in a run.

    Attributes:
        about: Description of the feature.
        unit: `share` (0 to 1) or the counted unit.
        cuts: Inclusive upper limits of all bins but the last.
        human_mean: Mean over the conversations in the corpus.
        human_shares: Share of the corpus's conversations in each bin, 0 to 1.
        finished: Distribution over all finished conversations, including rejected conversations.
        accepted: Distribution over accepted conversations.
    """

    about: str
    unit: str
    cuts: tuple[float, ...]
    human_mean: float
    human_shares: tuple[float, ...]
    finished: FeatureSpread
    accepted: FeatureSpread


@dataclass(frozen=True, slots=True)
class MatchedFeatures:
    """The features that this run, or another run in the report, matches to a corpus.

    Attributes:
        corpus: Path or name of the corpus.
        finished_per_accepted: Number of finished conversations per accepted conversation; 1 if no
            conversation was rejected.
        calls_per_accepted: Number of model calls per accepted conversation, including the calls for
            failed tasks.
        features: Maps each feature's name to its values in the corpus and in the run.
    """

    corpus: str
    finished_per_accepted: float
    calls_per_accepted: float
    features: dict[str, MatchedFeature]


@dataclass(frozen=True, slots=True)
class Target:
    """The features of a reference corpus, measured once for all runs."""

    corpus: str
    features: Sequence[Feature]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Target | None:
        """Return the target of the first run with matched features whose corpus can be read."""
        for run in runs:
            try:
                if (asked := _asked(read_mapping(run.folder / "experiment.yaml"))) is None:
                    continue
                corpus, features = asked[0], features_named(asked[1])
                return cls(corpus, features, measure(sample(open_corpus(corpus), corpus), features))
            except (SourceError, ValueError, KeyError):
                continue
        return None


def _asked(experiment: dict[str, Any]) -> tuple[str, list[str]] | None:
    """Return the corpus and the features specified for an experiment's profile gate or, if there is
    no such gate, for the experiment's method."""
    gates: list[Any] = experiment.get("gates") or []
    for entry in gates:
        if isinstance(entry, dict):
            gate = cast("dict[str, Any]", entry)
            if gate.get("gate") == "profile":
                return str(gate["corpus"]), list(gate["features"])
    if names := experiment.get("match_features"):
        return str(experiment.get("match")), list(names)
    return None


def matched_features(run: Run, target: Target, n_calls: int) -> MatchedFeatures | None:
    """Return a run's distance from a target, before and after the run's gates; None for empty runs.

    `n_calls` is the number of the run's model calls, excluding judges' calls.
    """
    accepted = _values(run.conversations(), target.features)
    if not len(accepted):
        return None
    rejected = _values((row.conversation for row in run.rejected()), target.features)
    finished = np.concatenate([accepted, rejected])
    found: dict[str, MatchedFeature] = {}
    for at, feature in enumerate(target.features):
        human = target.values[:, at]
        histogram = Histogram.of(feature, human, _BINS)
        found[feature.name] = MatchedFeature(
            about=feature.about,
            unit=feature.unit,
            cuts=histogram.cuts,
            human_mean=histogram.mean,
            human_shares=histogram.shares,
            finished=_spread(finished[:, at], human, histogram),
            accepted=_spread(accepted[:, at], human, histogram),
        )
    return MatchedFeatures(
        target.corpus, len(finished) / len(accepted), n_calls / len(accepted), found
    )


def _values(
    conversations: Iterable[Conversation], features: Sequence[Feature]
) -> NDArray[np.float64]:
    """Return the features of the conversations that have turns; shape (conversations, features)."""
    rows = [
        measure([dialogue], features)[0]
        for one in conversations
        if (dialogue := dialogue_of(one)) is not None
    ]
    return np.array(rows).reshape(-1, len(features))


def _spread(
    values: NDArray[np.float64], human: NDArray[np.float64], histogram: Histogram
) -> FeatureSpread:
    stats: Any = import_module("scipy.stats")
    shares = histogram.shares_of(values)
    return FeatureSpread(
        mean=float(values.mean()),
        shares=shares,
        distance=float(stats.wasserstein_distance(values, human)),
        total_variation=total_variation(shares, histogram.shares),
    )
