"""Small models on the Hugging Face Hub that write better than the embedded model.

`offers.yaml` has one row per model. A model is downloaded at the revision in its row and accepted
only if its SHA-256 matches.
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
"""Time limit in seconds for the hub's confirmation that a file exists."""


class Offer(Keys):
    """A GGUF file on the hub, with its checksum, licence and memory requirement."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    file: str = Field(pattern=r"^[\w.-]+\.gguf$")
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$", description="hash of the commit")
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    size: int | None = Field(ge=1, description="size of the file in bytes")
    licence: str = Field(min_length=1)
    memory: int = Field(ge=1, description="memory that the machine should have, in bytes")
    conversations: int = Field(
        ge=1, description="number of conversations in a demo; lower for slower models"
    )
    enabled: bool

    @model_validator(mode="after")
    def _is_verified(self) -> Self:
        if self.enabled and None in (self.revision, self.sha256, self.size):
            raise ValueError("an enabled model must have a revision, a sha256 and a size")
        return self


def read_offers(path: Path = SHIPPED, room: int | None = None) -> list[Offer]:
    """Return the enabled offers in a file that need at most `room` bytes of memory, in file order.

    Raises:
        ModelConfigError: If the file is not a list of offers.
    """
    found = read_yaml(path, ModelConfigError)
    if not isinstance(found, list):
        raise ModelConfigError(f"{path}: must be a list of models")
    rows = cast("list[Any]", found)
    offers = [validated(Offer, row, f"{path}: {nth}") for nth, row in enumerate(rows, 1)]
    return [one for one in offers if one.enabled and (room is None or one.memory <= room)]


def memory() -> int | None:
    """Return the size of this machine's memory in bytes; None if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def at_hand(offer: Offer) -> Path | None:
    """Return the path of an offered file; None if it has not been downloaded or differs from the
    offer."""
    path = models_folder() / offer.file
    there = path.is_file() and path.stat().st_size == offer.size
    return path if there and sha256(path) == offer.sha256 else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def connect(offer: Offer, seconds: float = CONNECT_S) -> str | None:
    """Return the reason why the hub does not provide an offer's file; None if the hub provides it.

    `seconds` limits the whole attempt, including name resolution.
    """
    hub: Any = import_module("huggingface_hub")
    url = hub.hf_hub_url(offer.repository, offer.file, revision=offer.revision)
    verdicts: list[str | None] = []

    def ask() -> None:
        try:
            metadata = hub.get_hf_file_metadata(url, timeout=seconds)
        except Exception as error:  # noqa: BLE001 - several libraries raise
            verdicts.append(" ".join(str(error).split())[:160] or type(error).__name__)
        else:
            right = metadata.size in (None, offer.size)
            verdicts.append(None if right else f"{metadata.size} bytes instead of {offer.size}")

    thread = threading.Thread(target=ask, daemon=True)  # name resolution has no time limit
    thread.start()
    thread.join(seconds)
    return verdicts[0] if verdicts else f"no response within {seconds:g} s"
