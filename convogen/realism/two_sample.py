"""The two-sample test: cross-fitted ridge classifiers, permuted labels, a control and an interval.

Each family of features is a linear kernel. The classifier is ridge regression on labels of -1 and 1
(scikit-learn's `KernelRidge`), which is solved for the true labels and all permutations together.
Folds keep groups together and do not depend on the labels, so the permutation test is exact. As a
control, the same test is applied to random halves of the human corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convogen.errors import UserError
from convogen.text.learning import learner

__all__ = [
    "Control",
    "FoldKernels",
    "KernelSource",
    "Separation",
    "areas",
    "control",
    "cross_fitted",
    "false_alarms",
    "folds",
    "permuted",
    "random_half",
    "separations",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FOLDS = 5
ALPHA = 0.3
"""The ridge penalty, for kernels whose diagonal has a mean of 1."""

RESAMPLES = 999
_AT_ONCE = 25
"""Number of halvings whose classifiers are fitted together."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Separation:
    """How well a classifier distinguishes generated conversations from human conversations.

    Attributes:
        auc: Area under the ROC curve, 0.5 at chance.
        low: Lower bound of the 95% bootstrap interval for the area; groups are resampled, and the
            classifiers stay unchanged.
        high: Upper bound of this interval.
        p: Probability of an area at least as large if the corpora did not differ; None if no
            permutations were requested.
    """

    auc: float
    low: float
    high: float
    p: float | None


@dataclass(frozen=True, slots=True)
class Control:
    """The two-sample test applied to random halves of the human corpus, as a control.

    Attributes:
        auc: Mean area under the curve over the halves.
        low: 2.5th percentile of the area over the halves.
        high: 97.5th percentile of the area over the halves.
        halves: Number of times that the corpus was halved.
    """

    auc: float
    low: float
    high: float
    halves: int


@dataclass(frozen=True, slots=True)
class FoldKernels:
    """Linear kernels of a fold: shapes (train, train) and (test, train)."""

    train: Floats
    test: Floats


class KernelSource(Protocol):
    """A family of features, fitted on the training part of a fold."""

    def kernels(self, train: Ints, test: Ints) -> FoldKernels: ...


def folds(groups: Sequence[int], seed: int) -> list[tuple[Ints, Ints]]:
    """Return the training and the test indices of each fold; no group is in both parts.

    Raises:
        UserError: If there are fewer groups than folds.
    """
    if (count := len(set(groups))) < FOLDS:
        raise UserError(
            f"realism: too few independent groups of conversations ({count}); conversations that "
            "share an opening, an experience or a seed form one group, and the test needs at "
            f"least {FOLDS} groups"
        )
    splitter = learner("model_selection", "realism").GroupKFold(
        FOLDS, shuffle=True, random_state=seed
    )
    return list(splitter.split(np.zeros(len(groups)), groups=groups))


def separations(
    families: Mapping[str, KernelSource],
    labels: Sequence[bool],
    groups: Sequence[int],
    *,
    permutations: int,
    seed: int,
) -> dict[str, Separation]:
    """Return how well the classes are separated by each family of features, and by all families
    together (`all`).

    Args:
        families: The families of features, keyed by name.
        labels: True for generated conversations.
        groups: The group of each conversation.
        permutations: Number of label permutations for the p-value; 0 for no p-value.
        seed: Random seed for folds, permutations and resamples.
    """
    truth = np.asarray(labels, dtype=bool)
    numbers = np.asarray(groups, dtype=np.intp)
    rng = np.random.default_rng(seed)
    columns = [truth, *(permuted(truth, numbers, rng) for _ in range(permutations))]
    classes = np.stack(columns, axis=1)
    scores = cross_fitted(families, classes, folds(groups, seed))
    result: dict[str, Separation] = {}
    for name, values in scores.items():
        aucs = areas(values, classes)
        low, high = _interval(values[:, 0], truth, numbers, seed)
        p = float((1 + (aucs[1:] >= aucs[0]).sum()) / len(aucs)) if permutations else None
        result[name] = Separation(float(aucs[0]), low, high, p)
    return result


def control(
    families: Mapping[str, KernelSource], groups: Sequence[int], *, halves: int, seed: int
) -> dict[str, Control]:
    """Return how well random halves of one corpus are separated; no group is in both halves."""
    numbers = np.asarray(groups, dtype=np.intp)
    rng = np.random.default_rng(seed)
    classes = np.stack([random_half(numbers, rng) for _ in range(halves)], axis=1)
    result: dict[str, Control] = {}
    for name, values in cross_fitted(families, classes, folds(groups, seed)).items():
        aucs = areas(values, classes)
        low, high = np.quantile(aucs, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        result[name] = Control(float(aucs.mean()), float(low), float(high), halves)
    return result


def random_half(groups: Ints, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which conversations belong to a randomly drawn half of the groups."""
    unique = np.unique(groups)
    return np.isin(groups, rng.permutation(unique)[: len(unique) // 2])


def false_alarms(
    families: Mapping[str, KernelSource],
    groups: Sequence[int],
    *,
    halves: int,
    permutations: int,
    seed: int,
    level: float = 0.05,
) -> dict[str, float]:
    """Return how often the test finds a difference between random halves of one corpus.

    Args:
        families: The families of features, keyed by name.
        groups: The group of each conversation.
        halves: Number of times that the corpus is halved.
        permutations: Number of label permutations per p-value.
        seed: Random seed for folds, halves and permutations.
        level: Significance level, 0 to 1.

    Returns:
        The share of halvings with a p-value of at most `level`, for each family and for `all`.
    """
    numbers = np.asarray(groups, dtype=np.intp)
    rng = np.random.default_rng(seed)
    parts = folds(groups, seed)
    alarms: dict[str, int] = {}
    for first in range(0, halves, _AT_ONCE):
        columns: list[NDArray[np.bool_]] = []
        for _ in range(min(_AT_ONCE, halves - first)):
            half = random_half(numbers, rng)
            columns += [half, *(permuted(half, numbers, rng) for _ in range(permutations))]
        classes = np.stack(columns, axis=1)
        for name, values in cross_fitted(families, classes, parts).items():
            aucs = areas(values, classes).reshape(-1, 1 + permutations)
            p = (1 + (aucs[:, 1:] >= aucs[:, :1]).sum(axis=1)) / aucs.shape[1]
            alarms[name] = alarms.get(name, 0) + int((p <= level).sum())
    return {name: count / halves for name, count in alarms.items()}


def cross_fitted(
    families: Mapping[str, KernelSource],
    classes: NDArray[np.bool_],
    parts: Sequence[tuple[Ints, Ints]],
) -> dict[str, Floats]:
    """Return the scores of conversations, from classifiers that were not trained on their groups.

    Args:
        families: The families of features, keyed by name.
        classes: Labels, of shape (conversations, labellings).
        parts: The training and the test indices of each fold.

    Returns:
        Scores with the shape of `classes`, for each family and, if there are several families, for
            `all`.
    """
    targets = np.where(classes, 1.0, -1.0)
    names = [*families, "all"] if len(families) > 1 else list(families)
    scores = {name: np.zeros(targets.shape) for name in names}
    for train, test in parts:
        wanted = targets[train] - targets[train].mean(axis=0)
        for name, kernels in _with_sum(families, train, test):
            scores[name][test] = _predicted(kernels, wanted)
    return scores


def _with_sum(
    families: Mapping[str, KernelSource], train: Ints, test: Ints
) -> Iterator[tuple[str, FoldKernels]]:
    total: FoldKernels | None = None
    for name, source in families.items():
        kernels = _scaled(source.kernels(train, test))
        yield name, kernels
        if total is None:
            total = kernels
        else:
            total = FoldKernels(total.train + kernels.train, total.test + kernels.test)
    if total is not None and len(families) > 1:
        yield "all", _scaled(total)


def _scaled(kernels: FoldKernels) -> FoldKernels:
    """Return centred kernels whose training diagonal has a mean of 1."""
    centerer = learner("preprocessing", "realism").KernelCenterer().fit(kernels.train)
    train, test = centerer.transform(kernels.train), centerer.transform(kernels.test)
    size = float(np.diag(train).mean()) or 1.0
    return FoldKernels(train / size, test / size)


def _predicted(kernels: FoldKernels, targets: Floats) -> Floats:
    ridge = learner("kernel_ridge", "realism").KernelRidge(alpha=ALPHA, kernel="precomputed")
    return np.asarray(ridge.fit(kernels.train, targets).predict(kernels.test), dtype=float)


def permuted(
    labels: NDArray[np.bool_], groups: Ints, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Permute labels within groups that have both labels, and between groups that have only one
    label."""
    permuted = labels.copy()
    sizes = np.bincount(groups)
    generated = np.bincount(groups, weights=labels).astype(np.intp)
    mixed = (generated > 0) & (generated < sizes)
    for group in np.flatnonzero(mixed):
        members = np.flatnonzero(groups == group)
        permuted[members] = rng.permutation(labels[members])
    pure = np.flatnonzero(~mixed & (sizes > 0))
    dealt = np.zeros(len(sizes), dtype=bool)
    dealt[pure] = rng.permutation(generated[pure] > 0)
    of_pure = ~mixed[groups]
    permuted[of_pure] = dealt[groups[of_pure]]
    return permuted


def areas(scores: Floats, classes: NDArray[np.bool_]) -> Floats:
    """Return the area under the ROC curve for each column of scores and labels."""
    stats: Any = import_module("scipy.stats")
    ranks = np.asarray(stats.rankdata(scores, axis=0), dtype=float)
    positives = classes.sum(axis=0)
    negatives = len(classes) - positives
    above = (ranks * classes).sum(axis=0) - positives * (positives + 1) / 2
    return above / np.maximum(1, positives * negatives)


def _interval(
    scores: Floats, truth: NDArray[np.bool_], groups: Ints, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval for the area, for which groups are resampled."""
    order = np.argsort(scores, kind="stable")
    positive, group = truth[order], groups[order]
    count = int(groups.max()) + 1

    def area(drawn: NDArray[np.intp], axis: int = -1) -> Floats:
        rows = np.moveaxis(np.atleast_2d(drawn), axis, -1)
        weights = np.stack([np.bincount(row, minlength=count) for row in rows])[:, group]
        wins = weights * positive
        losses = weights * ~positive
        beaten = np.cumsum(losses, axis=1) - losses
        pairs = wins.sum(axis=1) * losses.sum(axis=1)
        return (wins * beaten).sum(axis=1) / np.maximum(1, pairs)

    stats: Any = import_module("scipy.stats")
    result = stats.bootstrap(
        (np.arange(count),),
        area,
        vectorized=True,
        batch=100,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
