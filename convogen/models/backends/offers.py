"""Small models on the Hugging Face hub that write better than the embedded one.

`offers.yaml` has a row for each. A model is fetched at the row's revision and taken only if its
SHA-256 is the row's.
"""

from __future__ import annotations

import hashlib
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Self, cast

from pydantic import Field, model_validator

from convogen.errors import ModelConfigError
from convogen.inputs.keys import Keys
from convogen.inputs.validation import validated
from convogen.inputs.yaml12 import read_yaml
from convogen.models.backends.gguf import models_folder

__all__ = ["Offer", "at_hand", "connect", "memory", "read_offers", "sha256"]

SHIPPED = Path(__file__).with_name("offers.yaml")

CONNECT_S = 10.0
"""Seconds the hub may take to say that it has a file."""


class Offer(Keys):
    """A GGUF file on the hub: where it is, what it is known by, and what it needs."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    file: str = Field(pattern=r"^[\w.-]+\.gguf$")
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$", description="the commit")
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    size: int | None = Field(ge=1, description="bytes")
    licence: str = Field(min_length=1)
    memory: int = Field(ge=1, description="bytes a machine should have for it")
    conversations: int = Field(ge=1, description="of a demo: a larger model is slower")
    enabled: bool

    @model_validator(mode="after")
    def _is_verified(self) -> Self:
        if self.enabled and None in (self.revision, self.sha256, self.size):
            raise ValueError("enabled: needs a revision, a sha256 and a size")
        return self


def read_offers(path: Path = SHIPPED, room: int | None = None) -> list[Offer]:
    """Return the enabled rows of a file in their order that need no more than `room` bytes of
    memory.

    Raises `ModelConfigError` if the file is none of offers.
    """
    found = read_yaml(path, ModelConfigError)
    if not isinstance(found, list):
        raise ModelConfigError(f"{path}: must be a list of models")
    rows = cast("list[Any]", found)
    offers = [validated(Offer, row, f"{path}: {nth}") for nth, row in enumerate(rows, 1)]
    return [one for one in offers if one.enabled and (room is None or one.memory <= room)]


def memory() -> int | None:
    """Return the bytes of memory of this machine; None if it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def at_hand(offer: Offer) -> Path | None:
    """Return where an offered file already is; None if it is not, or is another one of that
    name."""
    path = models_folder() / offer.file
    there = path.is_file() and path.stat().st_size == offer.size
    return path if there and sha256(path) == offer.sha256 else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def connect(offer: Offer, seconds: float = CONNECT_S) -> str | None:
    """Return what is wrong with the hub, or with what it has under an offer's name; None if
    nothing.

    It has so many seconds to answer, whatever keeps it: a name that is not resolved as well.
    """
    hub: Any = import_module("huggingface_hub")
    url = hub.hf_hub_url(offer.repository, offer.file, revision=offer.revision)
    said: list[str | None] = []

    def ask() -> None:
        try:
            found = hub.get_hf_file_metadata(url, timeout=seconds)
        except Exception as error:  # noqa: BLE001 - of several libraries
            said.append(" ".join(str(error).split())[:160] or type(error).__name__)
        else:
            right = found.size in (None, offer.size)
            said.append(None if right else f"it has {found.size} bytes, not {offer.size}")

    thread = threading.Thread(target=ask, daemon=True)  # resolving a name has no time limit
    thread.start()
    thread.join(seconds)
    return said[0] if said else f"no answer in {seconds:g} s"
