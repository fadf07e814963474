"""Any OpenAI-compatible chat endpoint, through the `openai` package.

The typed `create` of the client costs several times the call itself, so requests go through its
`post(..., cast_to=object)` over the aiohttp transport and replies are read here, defensively:
an endpoint's answer is foreign input.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.masking import Secrets, public_url, url_secrets
from convogen.models.base import Reply, Request, TokenLogprob, Transient, encodable, printable
from convogen.models.dialect import Dialect
from convogen.models.spec import ModelSpec
from convogen.types import Usage

__all__ = ["EndpointModel"]

NO_KEY = "no-key-was-set"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are reached directly, whatever proxy the environment names."""

CONNECT_S = 20.0
"""Seconds to reach an endpoint; what it takes to answer is the spec's `timeout_s`."""


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint.

    Raises `ModelConfigError` at once where a key is needed and missing.
    """

    def __init__(self, spec: ModelSpec, *, max_connections: int = 1000) -> None:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._spec = spec
        url = spec.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        base_url, query, basic = _split_url(url)
        self._where = public_url(base_url)
        key = _key(spec)
        own = [key] if key != NO_KEY else []
        self._secrets = Secrets([*own, *url_secrets(url), *basic[6:].split()])
        self._dialect = Dialect(spec.json_mode)
        self._answered = False
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=key,
            default_query=query,
            default_headers={"Authorization": basic} if basic else None,
            max_retries=0,
            timeout=httpx2.Timeout(spec.timeout_s, connect=min(CONNECT_S, spec.timeout_s)),
            http_client=DefaultAioHttpClient(
                trust_env=urlsplit(base_url).hostname not in LOOPBACK,
                limits=httpx2.Limits(
                    max_connections=max_connections, max_keepalive_connections=max_connections
                ),
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
                data = await self._post(body)
            except openai.APIStatusError as error:
                detail = self._detail(error)
                if self._dialect.adapt(error.status_code, detail, body, mode):
                    continue
                raise self._status_error(error, detail) from error
            self._answered = True
            return self._read(data)

    def _read(self, data: object) -> Reply:
        """The reply in a body; should it quote a secret, the reply has it masked."""
        try:
            reply = _reply(data)
        except Transient as fault:
            raise Transient(self._secrets.mask_error(str(fault))) from None
        except ModelFault as fault:
            evidence = self._secrets.mask_error(fault.evidence)
            raise ModelFault(fault.kind, str(fault), evidence) from None
        mask, logprobs = self._secrets.mask, reply.logprobs
        if logprobs:
            spelt = "".join(token.token for token in logprobs)
            logprobs = _masked(logprobs, mask) if mask(spelt) == spelt else None
        text, finish = mask(printable(reply.text)), mask(reply.finish_reason)
        return replace(reply, text=text, finish_reason=finish, logprobs=logprobs)

    async def _post(self, body: dict[str, Any]) -> object:
        """One request; the time-out is over all of it, however slowly an answer trickles in."""
        import aiohttp
        import openai

        try:
            async with asyncio.timeout(self._spec.timeout_s):
                return await self._client.post("/chat/completions", cast_to=object, body=body)
        except openai.APIStatusError:
            raise
        except (openai.APIConnectionError, aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error
        except (openai.APIError, ValueError, RecursionError) as error:
            said = self._secrets.mask_error(" ".join(str(error).split()))
            raise Transient(f"unreadable answer: {said}"[:300]) from error

    def _unreachable(self, error: BaseException) -> Exception:
        """What kept an answer from coming; the transport calls most of it a time-out."""
        import aiohttp

        causes = list(_causes(error))
        cause = causes[-1]
        said = " ".join(f"{type(cause).__name__}: {cause}".split())
        said = self._secrets.mask_error(said)
        message = f"{self._where} cannot be reached ({said})"[:300]
        unconnected = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        if not self._answered and any(isinstance(each, unconnected) for each in causes):
            return EndpointDown(f"{message}; check --base-url, `convogen doctor` tells more")
        if any(isinstance(each, TimeoutError) for each in causes):
            return Transient(f"{self._where}: no answer within {self._spec.timeout_s:g} s")
        return Transient(message)

    def _detail(self, error: Any) -> str:
        """What the endpoint said went wrong, as one line; never a secret, should it be quoted."""
        body = error.body
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
        return self._secrets.mask_error(printable(" ".join(text.split())))[:1000]

    def _status_error(self, error: Any, detail: str) -> Exception:
        status = cast("int", error.status_code)
        said = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{said}; set {self._spec.api_key_env} to a valid key, run again")
        if status in (404, 405):
            return ModelConfigError(f"{said}; check --base-url and --model {self._spec.name}")
        if status == 402 or (status == 429 and "insufficient_quota" in detail):
            return EndpointDown(f"{said}; the account has no credit left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(said, _retry_after_s(error.response.headers))
        if "context" in detail and ("length" in detail or "exceed" in detail or "size" in detail):
            return ModelFault("context_length", said, detail)
        if "content_filter" in detail or "content management policy" in detail:
            return ModelFault("content_filter", said, detail)
        return ModelFault("bad_request", said, detail)


def _key(spec: ModelSpec) -> str:
    key = os.environ.get(spec.api_key_env, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ModelConfigError(
            f"model {spec.name}: {spec.api_key_env} holds characters that no key has; "
            "copy the key again"
        )
    if key:
        return key
    if spec.base_url is None:
        raise ModelConfigError(
            f"model {spec.name}: no key in {spec.api_key_env}; set it, or name your own endpoint "
            "with --base-url, or run without --model on the embedded model"
        )
    return NO_KEY


def _split_url(url: str) -> tuple[str, dict[str, str], str]:
    """A URL without query and user:password@, its query, and an Authorization header or ""."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    basic = f"Basic {base64.b64encode(unquote(user).encode()).decode()}" if at else ""
    bare = parts._replace(netloc=host, query="", fragment="").geturl()
    return bare, dict(parse_qsl(parts.query, keep_blank_values=True)), basic


def _masked(
    tokens: tuple[TokenLogprob, ...], mask: Callable[[str], str]
) -> tuple[TokenLogprob, ...]:
    """Tokens whose alternatives quote no secret; they themselves are known not to."""
    return tuple(replace(t, top=tuple((mask(a), p) for a, p in t.top)) for t in tokens)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, the first cause last."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the endpoint wants us to wait: milliseconds, seconds or a date (RFC 9110)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _reply(data: object) -> Reply:
    """Read a chat completion; raise `Transient` for a body that is none."""
    try:
        body = cast("dict[str, Any]", data)
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        finish = printable(str(choice.get("finish_reason") or "stop"))
        if not isinstance(text, str):
            raise TypeError("content is no string")
        reply = Reply(
            _spoken(text),
            _usage(body.get("usage") or {}),
            finish,
            _logprobs(choice.get("logprobs")),
        )
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise Transient(f"answer is no chat completion: {error!r}"[:300]) from error
    if finish == "content_filter":
        raise ModelFault(
            "content_filter", "the endpoint's content filter cut the reply", printable(text)
        )
    if not text and message.get("refusal"):
        raise ModelFault("refusal", "the model refused", printable(str(message["refusal"])[:2000]))
    return reply


def _spoken(text: str) -> str:
    """A reply without what a reasoning model thought, whether or not the tags are whole."""
    _, closed, after = text.partition("</think>")
    if closed:
        return after.lstrip()
    return "" if text.lstrip().startswith("<think>") else text


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
            encodable(token["token"]),
            float(token["logprob"]),
            tuple(
                (encodable(t["token"]), float(t["logprob"]))
                for t in token.get("top_logprobs") or ()
            ),
        )
        for token in data["content"]
    )
