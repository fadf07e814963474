"""Model specs: the name of a model, its address and its connection settings."""

from __future__ import annotations

import datetime
import os
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from convogen.inputs.keys import Keys
from convogen.models.addresses import azure_place, checked_url, without_route
from convogen.models.base import Sampling
from convogen.models.http import Http, checked_headers
from convogen.records import Usage
from convogen.redaction import public_url

__all__ = [
    "ADAPTED_SAMPLING",
    "EMBEDDED",
    "EMBEDDED_ADAPTER",
    "EMBEDDED_FEWEST_CHARS",
    "EMBEDDED_NO_LOOPS",
    "EMBEDDED_ROOM",
    "EMBEDDED_SAMPLING",
    "EMBEDDED_SHARE",
    "SCRIPTED",
    "TRANSFORMERS",
    "Azure",
    "ModelSpec",
    "Price",
]

EMBEDDED = "smollm2-135m"
"""The embedded model's name; `embedded` is an alias."""

SCRIPTED = "scripted"
"""The name of the model that gives canned replies, for tests and trials."""

TRANSFORMERS = "transformers:"
"""The prefix for the name or folder of a checkpoint that transformers loads into this process."""


class Price(Keys):
    """Prices in US dollars per million tokens; `cached` applies to cached prompt tokens."""

    input: float = Field(ge=0, description="price of prompt tokens")
    output: float = Field(ge=0, description="price of completion tokens")
    cached: float | None = Field(
        default=None,
        ge=0,
        description="price of cached prompt tokens; default: the same as `input`",
    )

    @model_validator(mode="after")
    def _cached_is_no_dearer(self) -> Price:
        if self.cached is not None and self.cached > self.input:
            raise ValueError(f"cached ({self.cached:g}) must not exceed input ({self.input:g})")
        return self

    def usd(self, usage: Usage) -> float:
        """Return the cost of the used tokens in US dollars."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        reread = self.input if self.cached is None else self.cached
        fresh = usage.prompt_tokens - cached
        return (fresh * self.input + cached * reread + usage.completion_tokens * self.output) / 1e6


class Azure(Keys):
    """Settings for a deployment on Azure OpenAI, in addition to `base_url` and a key."""

    api_version: str | None = Field(
        default=None,
        min_length=1,
        description="API version, such as 2024-10-21; default: the value of OPENAI_API_VERSION",
    )
    deployment: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="name of the deployment; default: the model's name",
    )

    @field_validator("api_version", mode="before")
    @classmethod
    def _is_no_date(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime.date) else value  # YAML parses dates


class ModelSpec(Keys):
    """A model, given by a name alone or by a name with an address and connection settings.

    `name` is `embedded`, `scripted`, the path of a GGUF file, `transformers:` followed by a
    checkpoint (for likelihoods only), or the endpoint's name for the model. With `http`, `name` may
    be any name for the chatbot. All other fields are excluded from the fingerprint, because they do
    not change the data.
    """

    name: str = Field(min_length=1)
    base_url: str | None = Field(
        default=None,
        description="URL of an OpenAI-compatible endpoint, ending in /v1, or of an Azure resource "
        "(such as https://NAME.openai.azure.com) or deployment, optionally with ?api-version=…; "
        "default: the value of OPENAI_BASE_URL or, with `azure`, of AZURE_OPENAI_ENDPOINT",
    )
    azure: Azure | None = Field(
        default=None,
        description="for a model on Azure OpenAI, its `api_version` and `deployment`; {} selects "
        "the defaults",
    )
    http: Http | None = Field(
        default=None,
        description="for a chatbot with its own HTTP interface, the request and the path to the "
        "answer",
    )
    api_key_env: str | None = Field(
        default=None,
        description="environment variable that contains the API key; default: OPENAI_API_KEY, or "
        "on Azure the first of AZURE_OPENAI_AD_TOKEN, AZURE_OPENAI_API_KEY and OPENAI_API_KEY that "
        "is set",
    )
    headers: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="additional HTTP headers for each call; write secrets as {{ env.NAME }}",
    )
    timeout_s: float = Field(default=120, gt=0, description="time limit for one call, in seconds")
    json_mode: Literal["auto", "schema", "object", "text"] = Field(
        default="auto",
        description="how JSON is requested; `auto` uses the strictest mode that the endpoint "
        "accepts",
    )
    replicas: list[str] = Field(
        default_factory=list[str], description="additional endpoints that serve the same model"
    )
    fallback: list[ModelSpec] = Field(
        default_factory=list["ModelSpec"],
        description="models to use, in this order, while the model's own endpoint is down",
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="maximum number of calls per minute to each endpoint and replica",
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="maximum number of prompt and completion tokens per minute at each endpoint "
        "and replica",
    )
    patience_s: float = Field(
        default=900,
        ge=0,
        description="number of seconds that an endpoint may be down before the run stops",
    )
    price: Price | None = Field(
        default=None,
        description="prices in USD per million tokens; default: the published list prices",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _has_a_host(cls, value: str | None) -> str | None:
        return value and without_route(checked_url(value))

    @field_validator("replicas")
    @classmethod
    def _have_hosts(cls, value: list[str]) -> list[str]:
        return [without_route(checked_url(url)) for url in value]

    @field_validator("headers")
    @classmethod
    def _hold_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        return checked_headers(value)

    @field_validator("fallback")
    @classmethod
    def _one_deep(cls, value: list[ModelSpec]) -> list[ModelSpec]:
        if any(spec.fallback for spec in value):
            raise ValueError(
                "a fallback cannot have its own fallbacks; put all fallbacks in one list"
            )
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_]\w*", value):
            raise ValueError("must be the name of an environment variable, not the key itself")
        return value

    @model_validator(mode="after")
    def _canonical_name(self) -> ModelSpec:
        if self.name == "embedded":
            object.__setattr__(self, "name", EMBEDDED)
        if self.replicas and self.base_url is None:
            raise ValueError(
                "replicas: base_url is missing; set it to the URL of the first endpoint"
            )
        if self.http is not None and (self.base_url is not None or self.azure is not None):
            raise ValueError(
                "http: cannot be combined with base_url or azure; remove base_url and azure"
            )
        if self.http is not None and self.headers:
            raise ValueError("headers: not allowed with http; use http.headers instead")
        return self

    @model_validator(mode="after")
    def _is_on_azure(self) -> ModelSpec:
        place = azure_place(self.base_url) if self.base_url else None
        if place is not None:
            given = self.azure or Azure()
            azure = Azure(
                api_version=given.api_version or place.api_version,
                deployment=given.deployment or place.deployment,
            )
            object.__setattr__(self, "base_url", place.url)
            object.__setattr__(self, "azure", azure)
        return self

    @property
    def kind(self) -> Literal["scripted", "embedded", "transformers", "endpoint", "http"]:
        """The kind of backend: canned replies, a GGUF file or a checkpoint in this process, an
        endpoint, or a chatbot with an HTTP API."""
        if self.http is not None:
            return "http"
        if self.base_url is not None or self.azure is not None:
            return "endpoint"
        if self.name == SCRIPTED:
            return "scripted"
        if self.name == EMBEDDED or self.name.endswith(".gguf"):
            return "embedded"
        return "transformers" if self.name.startswith(TRANSFORMERS) else "endpoint"

    @property
    def is_shipped(self) -> bool:
        """Whether this is the embedded model inside the package and not another GGUF file."""
        return self.kind == "embedded" and self.name == EMBEDDED

    @property
    def identity(self) -> str:
        """The name under which replies are recorded; for a file or folder, its base name."""
        if self.kind == "transformers" and os.path.isdir(self.name.removeprefix(TRANSFORMERS)):
            return TRANSFORMERS + os.path.basename(os.path.abspath(self.name))
        return os.path.basename(self.name) if self.kind == "embedded" else self.name

    @property
    def identities(self) -> list[str]:
        """The names of all models that may answer, in order of preference."""
        return list(dict.fromkeys([self.identity, *(spec.identity for spec in self.fallback)]))

    def endpoints(self) -> list[ModelSpec]:
        """Return a spec for `base_url` and one for each replica, all without replicas or
        fallbacks."""
        alone: dict[str, Any] = {"replicas": [], "fallback": []}
        urls = [self.base_url, *self.replicas]
        return [self.model_copy(update={**alone, "base_url": url}) for url in urls]

    def public(self) -> ModelSpec:
        """Return the spec without secrets in its URLs."""
        return self.model_copy(
            update={
                "base_url": self.base_url and public_url(self.base_url),
                "http": self.http and self.http.public(),
                "replicas": [public_url(url) for url in self.replicas],
                "fallback": [spec.public() for spec in self.fallback],
            }
        )


EMBEDDED_NO_LOOPS: dict[str, Any] = {"dry_multiplier": 1.2, "dry_allowed_length": 2}
"""llama.cpp's settings against repetition, which do not penalise quotation marks in JSON."""

EMBEDDED_ROOM = 160
"""Default `max_tokens` of the embedded model, which does not stop by itself. Ten longer replies
would not fit into its context."""

EMBEDDED_SHARE, EMBEDDED_FEWEST_CHARS = 1 / 4, 20
"""Length limit for strings in the embedded model's JSON replies, as a share of the schema's
`maxLength`, and the minimum limit in characters. The model does not end a string by itself."""

EMBEDDED_ADAPTER = "people-1"
"""The adapter that ships with the embedded model. `extra: {adapter: people-1}` in a role's sampling
enables it. Rename it whenever its weights change, because its name is part of the fingerprint."""

_ADAPTED = {"adapter": EMBEDDED_ADAPTER}
_ONE_LINE = {"grammar": r"root ::= [^:\n]+"}
"""A grammar for one line without a colon, so that the model cannot speak for another speaker."""

EMBEDDED_SAMPLING = {
    "generator": Sampling(
        temperature=0.9, max_tokens=1200, extra={**EMBEDDED_NO_LOOPS, "top_k": 30}
    ),
    "agent": Sampling(
        temperature=0.9,
        top_p=0.9,
        max_tokens=56,
        frequency_penalty=0.5,
        presence_penalty=0.4,
        extra={**EMBEDDED_NO_LOOPS, **_ONE_LINE},
    ),
    # As a judge, the model fills any limit with text and explains nothing.
    "judge": Sampling(max_tokens=100, extra=EMBEDDED_NO_LOOPS),
}
"""The embedded model's sampling defaults for each role. Settings from the method and the experiment
take precedence."""

ADAPTED_SAMPLING = {
    "generator": Sampling(
        temperature=0.7, max_tokens=1200, extra={**EMBEDDED_NO_LOOPS, "top_k": 30, **_ADAPTED}
    ),
    "agent": Sampling(
        temperature=0.8,
        top_p=0.9,
        max_tokens=56,
        extra={**EMBEDDED_NO_LOOPS, **_ONE_LINE, **_ADAPTED},
    ),
    "selector": Sampling(extra=_ADAPTED),
}
"""The sampling defaults for each role that uses a prompt written for the embedded model."""
