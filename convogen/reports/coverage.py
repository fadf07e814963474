"""Coverage of topics: the shares of topic clusters over the course of a run.

The clusters are fitted once to the experiences of all runs, so that runs can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice

import numpy as np

from convogen.generation.coverage import cluster_numbers, compared_text
from convogen.storage.run_folder import Run

__all__ = ["CLUSTERS", "CoverageCourse", "coverage_courses"]

CLUSTERS = 8
MOST_EXPERIENCES = 10_000
"""Maximum number of experiences analysed per run, counted from the start of the run."""

_SEED = "coverage"
_POINTS = 200


@dataclass(frozen=True, slots=True)
class CoverageCourse:
    """Evenness of a run's coverage of topic clusters, at up to 200 points in the run.

    Attributes:
        experience_at: Number of experiences up to each point.
        largest: Share of the largest cluster among these experiences, 0 to 1.
        entropy: Entropy of the clusters' shares divided by the maximum entropy, 0 to 1.
    """

    experience_at: list[int]
    largest: list[float]
    entropy: list[float]


def coverage_courses(runs: Mapping[str, Run]) -> dict[str, CoverageCourse]:
    """Return the course of coverage for each run that has experiences, keyed by the run's name.

    The result is empty if scikit-learn is not installed, or if there are too few experiences or all
    experiences are alike.
    """
    if find_spec("sklearn") is None:
        return {}
    texts = {
        name: [compared_text(one) for one in islice(run.experiences(), MOST_EXPERIENCES)]
        for name, run in runs.items()
    }
    numbers = cluster_numbers([text for own in texts.values() for text in own], CLUSTERS, _SEED)
    if numbers is None:
        return {}
    listed = iter(numbers)
    own = {name: list(islice(listed, len(of))) for name, of in texts.items()}
    return {name: _course(clusters) for name, clusters in own.items() if clusters}


def _course(clusters: list[int]) -> CoverageCourse:
    counts = np.cumsum(np.eye(CLUSTERS)[clusters], axis=0)
    at = np.unique(np.linspace(1, len(clusters), _POINTS).astype(int))
    shares = counts[at - 1] / at[:, None]
    logs = np.log(shares, out=np.zeros(shares.shape), where=shares > 0)
    entropy = -(shares * logs).sum(axis=1) / np.log(CLUSTERS)
    return CoverageCourse(at.tolist(), shares.max(axis=1).tolist(), np.abs(entropy).tolist())
