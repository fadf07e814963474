"""The embedded model's files, which are checked before they are loaded.

llama.cpp reports no error for a corrupted weight. Without the check, the model could silently write
different text or garbage.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from convogen.errors import ModelConfigError
from convogen.models.spec import EMBEDDED_ADAPTER
from convogen.resources import FOR_EMBEDDED

__all__ = ["MODEL_FILE", "check_adapter", "check_model"]

MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class _Known:
    """A file's size in bytes, its SHA-256, its description, and the remedy if it is invalid."""

    size: int
    sha256: str
    what: str
    remedy: str


_MODEL = _Known(
    98_362_432,
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "model",
    "delete the file, then run `convogen models pull embedded` to download it",
)
_ADAPTER = _Known(
    9_797_696,
    "693a0ad64800fe4b1fdd04fd046a5663f0f403d00b9625e8c4d5c85d9b9fdd81",
    "adapter for the embedded model",
    "reinstall convogen",
)


def check_model(path: Path) -> None:
    """Raise `ModelConfigError` if the embedded model's file differs from the released file.

    The check takes about 0.1 s. Other GGUF files are not checked.
    """
    if path.name == MODEL_FILE:
        _check(path, _MODEL)


def check_adapter(folder: Path = FOR_EMBEDDED) -> Path:
    """Return the path of the embedded model's adapter in a folder.

    Raises:
        ModelConfigError: If the adapter is missing or differs from the released adapter.
    """
    path = folder / f"{EMBEDDED_ADAPTER}.gguf"
    _check(path, _ADAPTER)
    return path


def _check(path: Path, known: _Known) -> None:
    try:
        if (size := path.stat().st_size) != known.size:
            fault = f"has {size:,} bytes instead of {known.size:,}"
        else:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            fault = None if found == known.sha256 else f"is damaged (its SHA-256 is {found})"
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fault = "is missing" if missing else f"cannot be read: {error.strerror}"
    if fault is not None:
        raise ModelConfigError(f"{known.what} {path}: {fault}; {known.remedy}")
