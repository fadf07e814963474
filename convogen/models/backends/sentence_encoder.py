"""Sentence vectors and similarities, computed with an encoder that transformers loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.errors import ModelConfigError
from convogen.models.backends.transformers_backend import transformers_class

__all__ = ["sentence_similarity", "sentence_vectors"]

MOST_TOKENS = 256
KEPT = 10_000
"""Number of texts whose vectors are cached."""

BATCH = 64
"""Number of texts per batch."""


def sentence_similarity(name: str) -> Callable[[str, str], float]:
    """Return a function that computes the similarity of two texts, from 0 to 100.

    The similarity is 100 times the cosine of the texts' mean token vectors. Negative values become
    0.

    Args:
        name: Name or folder of a checkpoint (safetensors), such as
            `sentence-transformers/all-MiniLM-L6-v2`.

    Raises:
        ModelConfigError: If the checkpoint cannot be loaded.
    """
    encode = _load(name, f"similarity embedding:{name}", "similarity: token_sort")

    @lru_cache(KEPT)
    def vector(text: str) -> NDArray[np.float64]:
        return encode([text])[0]

    def similarity(text: str, other: str) -> float:
        return 100 * min(1.0, max(0.0, float(vector(text) @ vector(other))))

    return similarity


def sentence_vectors(name: str) -> Callable[[Sequence[str]], NDArray[np.float64]]:
    """Return a function that computes the mean token vectors of texts, scaled to length 1.

    The returned function returns an array of shape (texts, dimensions). `name` and the exceptions
    are the same as for `sentence_similarity`.
    """
    encode = _load(name, f"embeddings {name}", "no embeddings")

    def vectors(texts: Sequence[str]) -> NDArray[np.float64]:
        # texts of similar length form a batch, to reduce padding
        order = sorted(range(len(texts)), key=lambda at: (len(texts[at]), at))
        parts = [encode([texts[at] for at in batch]) for batch in _batches(order)]
        stacked = np.concatenate(parts) if parts else np.zeros((0, 1))
        found = np.empty_like(stacked)
        found[order] = stacked
        return found

    return vectors


def _batches(order: Sequence[int]) -> Iterator[Sequence[int]]:
    return (order[start : start + BATCH] for start in range(0, len(order), BATCH))


def _load(name: str, what: str, instead: str) -> Callable[[list[str]], NDArray[np.float64]]:
    """Return a function that encodes a batch of texts. Error messages begin with `what` and suggest
    `instead`."""
    model_class, tokenizer_class = (
        transformers_class("AutoModel"),
        transformers_class("AutoTokenizer"),
    )
    try:
        tokenizer = tokenizer_class.from_pretrained(name)
        model = model_class.from_pretrained(name, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelConfigError(
            f"{what}: transformers cannot load it as an encoder ({said}); give the name or folder "
            f"of an encoder, or {instead}"
        ) from error
    torch: Any = import_module("torch")

    def encode(texts: list[str]) -> NDArray[np.float64]:
        read = tokenizer(
            texts,
            return_tensors="pt",
            truncation=True,
            max_length=MOST_TOKENS,
            padding=len(texts) > 1,
        )
        with torch.inference_mode():
            hidden = model(**{key: read[key] for key in ("input_ids", "attention_mask")})
        mask = read["attention_mask"][..., None].to(hidden.last_hidden_state.dtype)
        mean = (hidden.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        unit = mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-9)
        return np.asarray(unit.double().numpy())

    return encode
