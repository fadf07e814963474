"""Topic coverage in a lane: which topics the lane's experiences have had so far, and which are
rare.

Experiences are represented by TF-IDF vectors of topic, situation and relations, and clustered by
k-means. The crowding of a cluster is the sum of the similarities of all experiences to the
cluster's centre. A dominant theme is therefore crowded even if it is split into several clusters.
Each task of the next round is directed to the cluster that is least crowded at that point.

The results depend only on the lane's experiences in plan order, so a resumed run continues exactly
as if it had not been interrupted. Only the compared texts are kept in memory.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.records import Experience
from convogen.text.identify import function_words
from convogen.text.learning import learner
from convogen.text.segmentation import words

__all__ = ["Coverage", "Target", "cluster_numbers", "compared_text"]

WANTED = "shot_policy: coverage"

FIRST_FIT = 16
"""Minimum number of experiences for fitting clusters. The clusters are refitted whenever the number
of experiences doubles."""

MOST_FITTED = 2_000
"""Maximum number of experiences to which clusters are fitted; if there are more, a sample is used.
"""

N_NEAR, N_FAR = 3, 5
"""Numbers of words that describe the desired cluster and all experiences so far, respectively."""

LONGEST_TERM = 20

_TERM = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Target:
    """The desired topic region for a task's experience.

    Attributes:
        members: The experiences in the cluster: the task numbers of generated experiences, and the
            seeds themselves.
        topic: A phrase for the prompt that says what the topic should be near and far from.
    """

    members: tuple[int | Experience, ...]
    topic: str


class Coverage:
    """The topics of one lane's experiences in one language.

    Args:
        seeds: The hub's initial experiences.
        clusters: Number of clusters, k.
        seed: Random seed for fitting clusters and breaking ties.

    Raises:
        UserError: If scikit-learn is not installed.
    """

    def __init__(self, seeds: Sequence[Experience], clusters: int, seed: str) -> None:
        learner("cluster", WANTED)  # missing packages are reported before the first call
        self._members: list[int | Experience] = [*seeds]
        self._texts = [compared_text(experience) for experience in seeds]
        self._clusters = clusters
        self._seed = seed
        self._n_known = len(seeds)
        self._fitted: tuple[int, _Clusters | None] | None = None
        self._targets: list[Target] | None = None

    def add(self, task: int, experience: Experience) -> None:
        """Add the lane's next experience, which is taken into account from the next round on."""
        self._members.append(task)
        self._texts.append(compared_text(experience))

    def next_round(self) -> None:
        """Begin the next round, which takes all earlier rounds into account."""
        self._n_known = len(self._texts)
        self._targets = None

    def target(self, index: int, per_round: int) -> Target | None:
        """Return the desired topic region for a task in the current round.

        Return None if there are too few experiences to form clusters, or if all experiences are
        alike.
        """
        if self._targets is None:
            self._targets = self._planned(per_round)
        return self._targets[index] if self._targets else None

    def _planned(self, n: int) -> list[Target]:
        size = FIRST_FIT
        if self._n_known < size:
            return []
        while size * 2 <= self._n_known:
            size *= 2
        if self._fitted is None or self._fitted[0] != size:
            self._fitted = (size, self._fit(size))
        if (clusters := self._fitted[1]) is None:
            return []
        seed = f"{self._seed}/{self._n_known}"
        planned = clusters.planned(self._texts[: self._n_known], n, seed)
        return [
            Target(tuple(self._members[at] for at in members), topic) for members, topic in planned
        ]

    def _fit(self, size: int) -> _Clusters | None:
        return _fitted(self._texts[:size], self._clusters, self._seed)


def cluster_numbers(texts: Sequence[str], clusters: int, seed: str) -> list[int] | None:
    """Return the index of each text's cluster; None if there are too few texts or all texts are
    alike.

    Args:
        texts: Experiences as returned by `compared_text`.
        clusters: Number of clusters, k.
        seed: Random seed for fitting clusters.

    Raises:
        UserError: If scikit-learn is not installed.
    """
    if len(texts) < FIRST_FIT or (fitted := _fitted(texts, clusters, seed)) is None:
        return None
    return fitted.nearest(texts)


def _fitted(texts: Sequence[str], clusters: int, seed: str) -> _Clusters | None:
    if len(texts) > MOST_FITTED:
        texts = random.Random(f"{seed}/{len(texts)}").sample(texts, MOST_FITTED)
    try:
        return _Clusters(texts, clusters, random.Random(seed).randrange(2**32))
    except ValueError:  # no word distinguishes the texts
        return None


class _Clusters:
    """Clusters fitted to a sample of experiences, to which other experiences are assigned."""

    def __init__(self, texts: Sequence[str], clusters: int, seed: int) -> None:
        vectorizer = learner("feature_extraction.text", WANTED).TfidfVectorizer(
            analyzer=_terms, sublinear_tf=True
        )
        vectors = vectorizer.fit_transform(texts)
        different = len({frozenset(_terms(text)) for text in texts})
        if different < 2:
            raise ValueError("the texts are all alike")
        kmeans = learner("cluster", WANTED).KMeans(
            n_clusters=min(clusters, different), n_init=4, random_state=seed
        )
        one_thread = import_module("threadpoolctl").threadpool_limits(limits=1)
        with warnings.catch_warnings(), one_thread:  # threads add up in no fixed order
            warnings.simplefilter("ignore")  # fewer different vectors than clusters
            kmeans.fit(vectors)
        centres = np.asarray(kmeans.cluster_centers_, dtype=float)
        norms = np.linalg.norm(centres, axis=1, keepdims=True)
        self._centres = centres / np.maximum(norms, 1e-9)
        self._vectorizer: Any = vectorizer
        self._terms: list[str] = vectorizer.get_feature_names_out().tolist()
        self._near: NDArray[np.float64] = np.zeros((0, len(centres)))

    def planned(self, texts: Sequence[str], n: int, seed: str) -> list[tuple[list[int], str]]:
        """Return the desired cluster's texts (as indices) and topic for each of `n` tasks.

        Args:
            texts: All texts so far, beginning with the texts that were passed in the previous call.
            n: Number of tasks.
            seed: Random seed for ties between clusters.
        """
        near = self._nearness(texts)
        crowded = near.sum(axis=0)
        nearest = near.argmax(axis=1)
        between = self._centres @ self._centres.T
        filled = [at for at in range(len(crowded)) if (nearest == at).any()]
        order = random.Random(seed).sample(filled, len(filled))
        sizes = np.bincount(nearest, minlength=len(crowded))
        far = self._first_terms(sizes @ self._centres, N_FAR)
        found: list[tuple[list[int], str]] = []
        for _ in range(n):
            target = min(order, key=lambda at: crowded[at])
            crowded += between[target]
            members = np.flatnonzero(nearest == target).tolist()
            found.append((members, _topic(self._first_terms(self._centres[target], N_NEAR), far)))
        return found

    def nearest(self, texts: Sequence[str]) -> list[int]:
        """Return the index of each text's cluster."""
        return self._nearness(texts).argmax(axis=1).tolist()

    def _nearness(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosine similarity of each text to each centre.

        Results are cached by position, so `texts` must extend the texts of the previous call.
        """
        if new := texts[len(self._near) :]:
            self._near = np.vstack([self._near, self._vectorizer.transform(new) @ self._centres.T])
        return self._near[: len(texts)]

    def _first_terms(self, weights: NDArray[np.float64], n: int) -> list[str]:
        order = np.argsort(-weights, kind="stable")[:n]
        return [self._terms[at] for at in order if weights[at] > 0]


def _topic(near: Sequence[str], far: Sequence[str]) -> str:
    wanted = [term for term in near if term not in far]
    unwanted = [term for term in far if term not in near]
    said = (
        f"near {', '.join(wanted)}" if wanted else "",
        f"far from {', '.join(unwanted)}" if unwanted else "",
    )
    return " and ".join(filter(None, said))


def compared_text(experience: Experience) -> str:
    """Return the topic, situation and relations of an experience, without the people's names."""
    text = f"{experience.topic}\n{experience.situation}\n{experience.relations}"
    names = {part for persona in experience.personas for part in persona.name.split()}
    named = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"\b(?:{named})(?:['’]s)?\b", " ", text) if named else text


def _terms(text: str) -> list[str]:
    """Return the words of a text in lower case, without the most frequent words of any language."""
    frequent = function_words()
    listed = (match[0].lower() for word in words(text) or [] for match in _TERM.finditer(word))
    return [term for term in listed if len(term) <= LONGEST_TERM and term not in frequent]
