"""Loading and identification of the model to fine-tune."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convogen.errors import ModelConfigError
from convogen.models.backends.gguf import find_gguf
from convogen.models.backends.transformers_backend import load_causal
from convogen.models.spec import EMBEDDED

__all__ = ["check_installed", "gguf_of", "identity", "library", "load_trainable", "weights_hash"]


NEEDED = "fine-tuning needs packages that are not installed; run pip install 'convogen[train]'"


def check_installed(name: str) -> None:
    """Raise `ModelConfigError` if a library in the `train` extra is missing; no library is
    loaded."""
    if find_spec(name) is None:
        raise ModelConfigError(NEEDED)


def library(name: str) -> Any:
    """Import and return a library in the `train` extra.

    Raises `ModelConfigError` if the library is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelConfigError(NEEDED) from error


def gguf_of(name: str) -> Path | None:
    """Return the GGUF file that a model name refers to, or None if it refers to a checkpoint."""
    if name in (EMBEDDED, "embedded"):
        return find_gguf(EMBEDDED)
    return find_gguf(name) if name.endswith(".gguf") else None


def load_trainable(name: str) -> tuple[Any, Any]:
    """Return a model and its tokenizer, loaded by `load_causal` and ready for training."""
    model, tokenizer = load_causal(name)
    if (quantizer := getattr(model, "hf_quantizer", None)) is not None:
        quantizer.remove_quantization_config(model)  # a GGUF file's weights are already dequantised
    return model, tokenizer


def identity(name: str, model: Any) -> dict[str, str]:
    """Return a model's name without its folder, and the SHA-256 of its weights.

    For a checkpoint on the Hugging Face Hub, the commit is returned instead of the hash.
    """
    if path := gguf_of(name):
        return {"name": path.name, "sha256": _sha256([path])}
    folder = Path(name)
    if folder.is_dir():
        return {"name": folder.name, "sha256": weights_hash(folder)}
    return {"name": name, "commit": str(getattr(model.config, "_commit_hash", None))}


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of a folder's safetensors files, read in the order of their names."""
    return _sha256(sorted(folder.glob("*.safetensors")))


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for block in _blocks(path):
            digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
