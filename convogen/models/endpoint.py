"""Any OpenAI-compatible chat endpoint, through the `openai` package.

The typed `create` of the client costs several times the call itself, so requests go through its
`post(..., cast_to=object)` over the aiohttp transport and replies are read here, defensively:
an endpoint's answer is foreign input.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, cast

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.base import Reply, Request, TokenLogprob, Transient
from convogen.models.dialect import Dialect
from convogen.models.spec import ModelSpec
from convogen.types import Usage

__all__ = ["EndpointModel"]

THINKING = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint.

    Raises `ModelConfigError` at once where a key is needed and missing.
    """

    def __init__(self, spec: ModelSpec, *, max_connections: int = 1000) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._spec = spec
        self._where = spec.base_url or "https://api.openai.com/v1"
        self._dialect = Dialect(spec.json_mode)
        self._answered = False
        self._client = AsyncOpenAI(
            base_url=spec.base_url,
            api_key=_key(spec),
            max_retries=0,
            timeout=spec.timeout_s,
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(
                    max_connections=max_connections, max_keepalive_connections=max_connections
                )
            ),
        )

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was found to understand."""
        return self._dialect

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where the endpoint refuses a parameter, ask again without it."""
        import openai

        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            try:
                data = await self._client.post("/chat/completions", cast_to=object, body=body)
            except openai.APIStatusError as error:
                if self._dialect.adapt(error.status_code, _detail(error), body, mode):
                    continue
                raise self._status_error(error) from error
            except openai.APITimeoutError as error:
                raise Transient(f"no answer within {self._spec.timeout_s:g} s") from error
            except openai.APIConnectionError as error:
                raise self._unreachable(error) from error
            except (openai.APIError, ValueError) as error:
                raise Transient(f"unreadable answer: {error}"[:300]) from error
            self._answered = True
            return _reply(data)

    def _unreachable(self, error: Exception) -> Exception:
        cause = error.__cause__ or error
        message = f"{self._where} cannot be reached ({type(cause).__name__}: {cause})"[:300]
        if not self._answered and "onnect" in type(cause).__name__:
            return EndpointDown(f"{message}; check --base-url, `convogen doctor` tells more")
        return Transient(message)

    def _status_error(self, error: Any) -> Exception:
        status, detail = cast("int", error.status_code), _detail(error)
        said = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{said}; set {self._spec.api_key_env} to a valid key, run again")
        if status == 404:
            return ModelConfigError(f"{said}; check --base-url and --model {self._spec.name}")
        if status == 429 and "insufficient_quota" in detail:
            return EndpointDown(f"{said}; the account has no credit left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(said, _retry_after_s(error.response.headers))
        if "context" in detail and ("length" in detail or "exceed" in detail or "size" in detail):
            return ModelFault("context_length", said, detail)
        if "content_filter" in detail or "content management policy" in detail:
            return ModelFault("content_filter", said, detail)
        return ModelFault("bad_request", said, detail)


def _key(spec: ModelSpec) -> str:
    key = os.environ.get(spec.api_key_env)
    if key:
        return key
    if spec.base_url is None:
        raise ModelConfigError(
            f"model {spec.name}: no key in {spec.api_key_env}; set it, or name your own endpoint "
            "with --base-url, or run without --model on the embedded model"
        )
    return "none"


def _detail(error: Any) -> str:
    """What the endpoint said went wrong, as one line."""
    body = error.body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    return " ".join(text.split())[:1000]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None


def _reply(data: object) -> Reply:
    """Read a chat completion; raise `Transient` for a body that is none."""
    try:
        body = cast("dict[str, Any]", data)
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        finish = str(choice.get("finish_reason") or "stop")
        if not isinstance(text, str):
            raise TypeError("content is no string")
        reply = Reply(
            THINKING.sub("", text),
            _usage(body.get("usage") or {}),
            finish,
            _logprobs(choice.get("logprobs")),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise Transient(f"answer is no chat completion: {error!r}"[:300]) from error
    if finish == "content_filter":
        raise ModelFault("content_filter", "the endpoint's content filter cut the reply", text)
    if not text and message.get("refusal"):
        raise ModelFault("refusal", "the model refused", str(message["refusal"])[:2000])
    return reply


def _usage(usage: dict[str, Any]) -> Usage:
    details = cast("dict[str, Any]", usage.get("prompt_tokens_details") or {})
    return Usage(
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
    )


def _logprobs(data: Any) -> tuple[TokenLogprob, ...] | None:
    if not data or not data.get("content"):
        return None
    return tuple(
        TokenLogprob(
            token["token"],
            float(token["logprob"]),
            tuple((t["token"], float(t["logprob"])) for t in token.get("top_logprobs") or ()),
        )
        for token in data["content"]
    )
