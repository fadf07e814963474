"""Families of features as kernels: named features, and TF-IDF weights of words and word pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.realism.reading import Reading
from convogen.realism.samples import Dialogue
from convogen.realism.two_sample import FoldKernels
from convogen.text.learning import learner

__all__ = ["NamedFeatures", "TfIdf", "WordLists", "terms", "word_lists"]

WordLists = list[list[str]]
QUANTILES = 100
MIN_CONVERSATIONS = 2
"""Minimum number of training conversations that must contain a word for the word to be used."""


class NamedFeatures:
    """Numeric columns, mapped to a normal distribution by the quantiles of the training part."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        varying = values.std(axis=0) > 0
        self._values = values[:, varying]

    @property
    def empty(self) -> bool:
        """Whether all features are the same in all conversations."""
        return not self._values.shape[1]

    def kernels(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> FoldKernels:
        preprocessing = learner("preprocessing", "realism")
        quantiles = preprocessing.QuantileTransformer(
            n_quantiles=min(QUANTILES, len(train)), output_distribution="normal", random_state=0
        )
        scale = learner("pipeline", "realism").make_pipeline(
            quantiles, preprocessing.StandardScaler()
        )
        fitted = scale.fit_transform(self._values[train])
        return FoldKernels(fitted @ fitted.T, scale.transform(self._values[test]) @ fitted.T)


class TfIdf:
    """Words and pairs of successive words, weighted by TF-IDF with logarithmic counts."""

    def __init__(self, conversations: Sequence[WordLists]) -> None:
        self._conversations = conversations

    def vectors(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Any, Any, Any]:
        """Return the fitted vectorizer, and the matrices of the training part and the test part."""
        vectorizer = learner("feature_extraction.text", "realism").TfidfVectorizer(
            analyzer=terms, min_df=MIN_CONVERSATIONS, sublinear_tf=True
        )
        fitted = vectorizer.fit_transform([self._conversations[row] for row in train])
        return vectorizer, fitted, vectorizer.transform([self._conversations[row] for row in test])

    def kernels(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> FoldKernels:
        _, fitted, others = self.vectors(train, test)
        return FoldKernels((fitted @ fitted.T).toarray(), (others @ fitted.T).toarray())


def word_lists(dialogues: Sequence[Dialogue]) -> list[WordLists]:
    """Return the words of each turn of each dialogue, in lower case."""
    return [Reading(dialogue).words for dialogue in dialogues]


def terms(turns: WordLists) -> list[str]:
    """Return the words, and the pairs of successive words within the same turn."""
    terms = [word for turn in turns for word in turn]
    return terms + [f"{first} {second}" for turn in turns for first, second in pairwise(turn)]
