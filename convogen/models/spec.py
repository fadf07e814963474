"""Which model answers for a role, and where it is."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from convogen.models.base import Sampling

__all__ = ["EMBEDDED", "SCRIPTED", "ModelSpec"]

EMBEDDED = "smollm2-135m"
"""The embedded model's name; `embedded` is understood as well."""

SCRIPTED = "scripted"
"""Canned replies for tests and dry runs: no language model."""


class ModelSpec(BaseModel):
    """One model: a name alone, or a name with where and how to reach it.

    `name` is `embedded`, `scripted`, the path of a GGUF file, or what the endpoint calls the model.
    `base_url` and what follows do not change the data and stay out of the fingerprint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    base_url: str | None = Field(None, description="an OpenAI-compatible endpoint, ending in /v1")
    api_key_env: str = Field("OPENAI_API_KEY", description="environment variable with the key")
    timeout_s: float = Field(120, gt=0, description="seconds a call may take")
    json_mode: Literal["auto", "schema", "object", "text"] = Field(
        "auto", description="how the endpoint is asked for JSON; auto finds out"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _canonical_name(self) -> ModelSpec:
        if self.name == "embedded":
            object.__setattr__(self, "name", EMBEDDED)
        return self

    @property
    def kind(self) -> Literal["scripted", "embedded", "endpoint"]:
        """What answers: nothing but a script, a GGUF file in this process, or an endpoint."""
        if self.base_url is None and self.name == SCRIPTED:
            return "scripted"
        if self.base_url is None and (self.name == EMBEDDED or self.name.endswith(".gguf")):
            return "embedded"
        return "endpoint"

    @property
    def identity(self) -> str:
        """The name under which replies are recorded: a GGUF file's name without its folder."""
        return os.path.basename(self.name) if self.kind == "embedded" else self.name


EMBEDDED_SAMPLING = Sampling(top_p=0.9, frequency_penalty=0.6, presence_penalty=0.3)
"""What keeps a model of 135 million parameters from repeating itself; under a role's own."""
