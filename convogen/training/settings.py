"""Fine-tuning settings: the shipped YAML file, and validated overrides from another file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from convogen.errors import ExperimentError
from convogen.inputs.keys import Keys
from convogen.inputs.validation import validated
from convogen.inputs.yaml12 import read_mapping

__all__ = ["Settings"]

SHIPPED = Path(__file__).with_name("dialogueforge.yaml")


class Settings(Keys):
    """The keys of `dialogueforge.yaml`, which also contains their default values."""

    epochs: float = Field(gt=0)
    learning_rate: float = Field(gt=0, le=1)
    batch: int = Field(ge=1)
    accumulation: int = Field(ge=1)
    block: int = Field(ge=16)
    optimizer: str = Field(pattern=r"^\w+$")
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"]
    precision: Literal["fp16", "bf16", "fp32"]
    target_modules: str | list[str]
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    warmup: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    seed: int = Field(ge=0, lt=2**32)
    steps: int | None = Field(ge=1)
    n: int | None = Field(ge=1)
    n_held_out: int | None = Field(ge=1)
    save_every: int = Field(ge=1)

    @classmethod
    def load(cls, path: Path | None, overrides: Mapping[str, Any]) -> Settings:
        """Return the shipped settings, overridden by the settings in a file, then by `overrides`.

        Raises `ExperimentError` for an unreadable file, an unknown key or an invalid value.
        """
        own = read_mapping(path, ExperimentError) if path else {}
        merged = {**read_mapping(SHIPPED), **own, **overrides}
        return validated(cls, merged, str(path or "train"))
