"""Semantic similarity of two texts by a sentence encoder loaded with transformers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from convogen.errors import ModelConfigError
from convogen.models.backends.transformers_backend import transformers_class

__all__ = ["sentence_similarity"]

MOST_TOKENS = 256
KEPT = 10_000
"""Texts whose vectors are cached."""


def sentence_similarity(name: str) -> Callable[[str, str], float]:
    """Return a function for the cosine similarity of two texts' mean token vectors, from 0 to 100.

    `name` is a checkpoint's name or folder (safetensors), such as
    `sentence-transformers/all-MiniLM-L6-v2`. Raises `ModelConfigError` if it cannot be loaded.
    """
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
            f"similarity embedding:{name}: no encoder that transformers loads ({said}); give a "
            "checkpoint's name or folder, or similarity: token_sort"
        ) from error
    torch: Any = import_module("torch")

    @lru_cache(KEPT)
    def vector(text: str) -> Any:
        read = tokenizer(text, return_tensors="pt", truncation=True, max_length=MOST_TOKENS)
        with torch.inference_mode():
            hidden = model(**{key: read[key] for key in ("input_ids", "attention_mask")})
        mean = hidden.last_hidden_state[0].mean(dim=0)
        return mean / mean.norm().clamp(min=1e-9)

    def similarity(text: str, other: str) -> float:
        return 100 * min(1.0, max(0.0, float(vector(text) @ vector(other))))

    return similarity
