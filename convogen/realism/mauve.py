"""MAUVE: the overlap of two corpora as distributions over clusters of their embeddings.

Pillutla et al., "MAUVE: Measuring the gap between neural text and human text using divergence
frontiers" (NeurIPS 2021), equations 1 and 2: for mixtures R = a P + (1 - a) Q with 0 < a < 1, the
divergence frontier is the curve of the points (exp(-c KL(Q|R)), exp(-c KL(P|R))). MAUVE is the area
under this curve: 1 if P equals Q, and near 0 if they have nothing in common. P and Q are histograms
over clusters of the vectors of both corpora. The vectors are normalised to length 1, reduced by a
principal component analysis that keeps 90% of the variance, and clustered by k-means, with one
cluster per ten texts of the smaller corpus. As in the paper, c is 5.

In the paper, vectors represent passages and come from GPT-2. Here, the vectors represent whole
conversations and come from the encoder that the user names. Compare only values from the same
encoder and from corpora of similar size. The halves of the human corpus show which value to expect
if corpora do not differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convogen.realism.two_sample import random_half
from convogen.text.learning import learner

__all__ = ["HALVES", "Mauve", "frontier_area", "mauve", "mauve_beside_halves"]

Floats = NDArray[np.float64]

SCALE = 5.0
"""The scaling constant c in the paper."""

PER_CLUSTER = 10
"""Number of texts of the smaller corpus per cluster."""

VARIANCE = 0.9
STARTS = 5
"""Number of k-means runs with different starting points; the best run is used."""

MIXTURES = 1_000
HALVES = 10


@dataclass(frozen=True, slots=True)
class Mauve:
    """MAUVE between a generated corpus and a human corpus, and between halves of the human corpus.

    Attributes:
        value: MAUVE between the two corpora, 0 to 1.
        halves: Mean MAUVE between the two halves, over random splits of the human corpus.
        low: Smallest MAUVE over these splits.
        high: Largest MAUVE over these splits.
    """

    value: float
    halves: float
    low: float
    high: float


def mauve_beside_halves(
    generated: Floats, human: Floats, groups: Sequence[int], *, seed: int, halves: int = HALVES
) -> Mauve:
    """Return MAUVE between two corpora, and MAUVE between random halves of the human corpus.

    Args:
        generated: Vectors of generated texts, of shape (texts, dimensions).
        human: Vectors of human texts, of shape (texts, dimensions).
        groups: The group of each human text; a group is never split.
        seed: Random seed for k-means and for the random halves.
        halves: Number of times that the human corpus is halved.
    """
    rng = np.random.default_rng(seed)
    numbers = np.asarray(groups, dtype=np.intp)
    controls: list[float] = []
    for _ in range(halves):
        half = random_half(numbers, rng)
        controls.append(mauve(human[half], human[~half], seed=seed))
    value = mauve(generated, human, seed=seed)
    return Mauve(value, float(np.mean(controls)), min(controls), max(controls))


def mauve(generated: Floats, human: Floats, *, seed: int) -> float:
    """Return MAUVE between two samples of vectors, 0 to 1."""
    both = np.vstack([generated, human])
    both = both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), np.finfo(float).tiny)
    distinct = len(np.unique(both, axis=0))
    if distinct == 1:
        return 1.0
    count = max(2, round(min(len(generated), len(human)) / PER_CLUSTER))
    count = min(count, distinct)
    parts = learner("decomposition", "realism").PCA(VARIANCE, svd_solver="full", random_state=seed)
    clusters = learner("cluster", "realism").KMeans(count, n_init=STARTS, random_state=seed)
    labels = clusters.fit_predict(parts.fit_transform(both))
    n = len(generated)
    ours, theirs = (np.bincount(part, minlength=count) for part in (labels[:n], labels[n:]))
    return frontier_area(ours / n, theirs / len(human))


def frontier_area(p: Floats, q: Floats) -> float:
    """Return the area under the divergence frontier of two distributions over the same events."""
    # Dense near both ends, where the curve bends if the distributions hardly overlap.
    share = (1 - np.cos(np.linspace(0, np.pi, MIXTURES + 2)[1:-1])) / 2
    mixtures = share[:, None] * p + (1 - share[:, None]) * q
    x = np.exp(-SCALE * _divergences(q, mixtures))
    y = np.exp(-SCALE * _divergences(p, mixtures))
    # As the share of P grows, x falls and y rises to 1.
    return min(1.0, float(np.trapezoid([1.0, *y[::-1], 0.0], [0.0, *x[::-1], 1.0])))


def _divergences(p: Floats, mixtures: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of a distribution from mixtures that include it."""
    there = p > 0
    return (p[there] * np.log(p[there] / mixtures[:, there])).sum(axis=1)
