"""What the experiences of a lane are about so far, and what they lack.

Experiences are vectors of TF-IDF over topic, situation and relations, in clusters by k-means. How
crowded a cluster is counts the experiences of all clusters by how near they are to its centre: a
theme that dominates is crowded however many clusters it has been split into. The next tasks are
sent to the least crowded clusters, one after the other.

All of it is a function of the lane's experiences in the order of the plan, so that a run that is
resumed goes on as it would have. Per experience the text that is compared is held.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.records import Experience
from convogen.text.learning import learner
from convogen.text.segmentation import words

__all__ = ["Coverage", "Target", "compared_text"]

FIRST_FIT = 16
"""Experiences from which there are clusters; they are fitted again whenever the number doubles."""

MOST_FITTED = 2_000
"""Experiences that clusters are fitted to at most, drawn from all."""

N_TERMS = 3
"""Words that a cluster is described by."""

LONGEST_TERM = 20

_TERM = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a task's experience is wanted.

    Attributes:
        members: Positions of the experiences of the cluster, from the first of the lane.
        topic: What the topic is near and far from, a phrase for the prompt.
    """

    members: tuple[int, ...]
    topic: str


class Coverage:
    """The experiences of one lane, those that the hub starts from first.

    Args:
        seeds: What the hub starts from.
        clusters: Number of clusters, k.
        seed: Of the clusters and of ties.
    """

    def __init__(self, seeds: Sequence[Experience], clusters: int, seed: str) -> None:
        self._texts = [compared_text(one) for one in seeds]
        self._clusters = clusters
        self._seed = seed
        self._fitted: tuple[int, _Clusters | None] | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, experience: Experience) -> None:
        """Take the lane's next experience into account."""
        self._texts.append(compared_text(experience))

    def targets(self, known: int, n: int) -> list[Target] | None:
        """Return where the next `n` experiences are wanted, given the first `known`.

        None if there are too few to form clusters, or they are all alike.
        """
        size = FIRST_FIT
        if known < size:
            return None
        while size * 2 <= known:
            size *= 2
        if self._fitted is None or self._fitted[0] != size:
            self._fitted = (size, self._fit(size))
        if (clusters := self._fitted[1]) is None:
            return None
        return clusters.targets(self._texts[:known], n, f"{self._seed}/{known}")

    def _fit(self, size: int) -> _Clusters | None:
        drawn = self._texts[:size]
        if size > MOST_FITTED:
            drawn = random.Random(f"{self._seed}/{size}").sample(drawn, MOST_FITTED)
        try:
            return _Clusters(drawn, self._clusters, random.Random(self._seed).randrange(2**32))
        except ValueError:  # no word tells the texts apart
            return None


class _Clusters:
    """Clusters of a sample, to which other experiences are assigned."""

    def __init__(self, texts: Sequence[str], clusters: int, seed: int) -> None:
        wanted = "shot_policy: coverage"
        vectorizer = learner("feature_extraction.text", wanted).TfidfVectorizer(
            analyzer=_terms, max_df=0.5, sublinear_tf=True
        )
        vectors = vectorizer.fit_transform(texts)
        kmeans = learner("cluster", wanted).KMeans(
            n_clusters=min(clusters, len({frozenset(_terms(text)) for text in texts})),
            n_init=4,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer different vectors than clusters
            kmeans.fit(vectors)
        centres = np.asarray(kmeans.cluster_centers_, dtype=float)
        norms = np.linalg.norm(centres, axis=1, keepdims=True)
        self._centres = centres / np.maximum(norms, 1e-9)
        self._vectorizer: Any = vectorizer
        names = vectorizer.get_feature_names_out()
        self._terms = [
            [str(names[at]) for at in np.argsort(-centre, kind="stable")[:N_TERMS]]
            for centre in self._centres
        ]
        self._near: NDArray[np.float64] = np.zeros((0, len(centres)))

    def targets(self, texts: Sequence[str], n: int, seed: str) -> list[Target]:
        near = self._nearness(texts)
        crowded = near.sum(axis=0)
        nearest = near.argmax(axis=1)
        between = self._centres @ self._centres.T
        filled = [at for at in range(len(crowded)) if (nearest == at).any()]
        order = random.Random(seed).sample(filled, len(filled))
        most = int(np.argmax(crowded))
        found: list[Target] = []
        for _ in range(n):
            target = min(order, key=lambda at: crowded[at])
            crowded += between[target]
            members = tuple(int(at) for at in np.flatnonzero(nearest == target))
            found.append(Target(members, self._topic(target, most)))
        return found

    def _nearness(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosine of each text with each centre; those of earlier texts are kept."""
        if new := texts[len(self._near) :]:
            self._near = np.vstack([self._near, self._vectorizer.transform(new) @ self._centres.T])
        return self._near[: len(texts)]

    def _topic(self, target: int, most: int) -> str:
        near = [term for term in self._terms[target] if term not in self._terms[most]]
        far = [term for term in self._terms[most] if term not in self._terms[target]]
        said = (
            f"near {', '.join(near)}" if near else "",
            f"far from {', '.join(far)}" if far else "",
        )
        return " and ".join(filter(None, said))


def compared_text(experience: Experience) -> str:
    """Return what an experience is about; names of people do not count."""
    return f"{experience.topic}\n{experience.situation}\n{experience.relations}"


def _terms(text: str) -> list[str]:
    """Return the words of three letters or more of a text, in lower case."""
    found = words(text) or []
    listed = (match[0].lower() for word in found for match in _TERM.finditer(word))
    return [term for term in listed if len(term) <= LONGEST_TERM]
