"""Which model answers for a role, and where it is."""

from __future__ import annotations

import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

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
    base_url: str | None = Field(
        default=None, description="an OpenAI-compatible endpoint, ending in /v1"
    )
    api_key_env: str = Field(
        default="OPENAI_API_KEY", description="environment variable with the key"
    )
    timeout_s: float = Field(default=120, gt=0, description="seconds a call may take")
    json_mode: Literal["auto", "schema", "object", "text"] = Field(
        default="auto", description="how the endpoint is asked for JSON; auto finds out"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _has_a_host(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            whole = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", value)
        except ValueError:
            whole = False
        if not whole or not value.startswith(("http://", "https://")):
            raise ValueError("must be a URL such as http://127.0.0.1:8000/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_]\w*", value):
            raise ValueError("must be the name of an environment variable, not a key itself")
        return value

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


_NO_LOOPS: dict[str, Any] = {"dry_multiplier": 1.2, "dry_allowed_length": 2}
"""llama.cpp's own settings against repetition, which leave a JSON object's quotes alone."""

EMBEDDED_SAMPLING = {
    "generator": Sampling(temperature=0.9, max_tokens=1200, extra={**_NO_LOOPS, "top_k": 30}),
    # One line without a colon: so small a model would go on to speak for the others.
    "agent": Sampling(
        temperature=0.9,
        top_p=0.9,
        frequency_penalty=0.5,
        presence_penalty=0.4,
        extra={**_NO_LOOPS, "grammar": r"root ::= [^:\n]+"},
    ),
    # It goes on for as long as it may, and explains nothing.
    "judge": Sampling(max_tokens=100, extra=_NO_LOOPS),
}
"""What suits a model of 135 million parameters, by role; under an experiment's own settings."""
