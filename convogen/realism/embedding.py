"""Conversations as vectors from a sentence encoder that the user chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from convogen.realism.samples import Dialogue
from convogen.realism.two_sample import FoldKernels

__all__ = ["Embeddings", "Encoder", "conversation_vectors"]

Encoder = Callable[[Sequence[str]], NDArray[np.float64]]
"""A function that maps texts to vectors: shape (texts, dimensions)."""


def conversation_vectors(dialogues: Sequence[Dialogue], encode: Encoder) -> NDArray[np.float64]:
    """Return the mean vector of each dialogue's turns: shape (dialogues, dimensions).

    A turn that occurs several times is encoded only once.
    """
    texts = list(dict.fromkeys(text for dialogue in dialogues for text in dialogue.texts))
    rows = {text: at for at, text in enumerate(texts)}
    vectors = encode(texts)
    return np.stack(
        [vectors[[rows[text] for text in dialogue.texts]].mean(axis=0) for dialogue in dialogues]
    )


class Embeddings:
    """A family of features: the vectors of conversations, with a linear kernel."""

    def __init__(self, vectors: NDArray[np.float64]) -> None:
        self._vectors = vectors

    def kernels(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> FoldKernels:
        fitted, others = self._vectors[train], self._vectors[test]
        return FoldKernels(fitted @ fitted.T, others @ fitted.T)
