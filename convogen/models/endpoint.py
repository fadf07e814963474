"""Any OpenAI-compatible chat endpoint, over aiohttp.

A client package that builds typed objects costs several times the call itself, so requests go
out as they are and replies are read here, defensively: an endpoint's answer is foreign input.
"""

from __future__ import annotations

import base64
import os
from urllib.parse import unquote, urlsplit

from convogen.errors import ModelConfigError
from convogen.masking import Secrets, public_url, url_secrets
from convogen.models.base import Reply, Request
from convogen.models.completions import read_completion, read_error
from convogen.models.dialect import Dialect
from convogen.models.likelihood import completions_body, read_completions
from convogen.models.spec import ModelSpec
from convogen.models.transport import Advice, Transport

__all__ = ["EndpointModel"]

NO_KEY = "no-key-was-set"


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint.

    Raises `ModelConfigError` at once where a key is needed and missing.
    """

    def __init__(self, spec: ModelSpec) -> None:
        url = spec.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        base_url, basic = _without_credentials(url)
        parts = urlsplit(base_url)
        parts = parts._replace(path=parts.path.rstrip("/"), fragment="")
        self._completions_url = parts._replace(path=f"{parts.path}/completions").geturl()
        key = _key(spec)
        own = [key] if key != NO_KEY else []
        self._secrets = Secrets([*own, *url_secrets(url), *(basic or "")[6:].split()])
        headers = {
            "Authorization": basic or f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._transport = Transport(
            parts._replace(path=f"{parts.path}/chat/completions").geturl(),
            public_url(base_url),
            headers,
            spec.timeout_s,
            self._secrets,
            Advice(
                unreached="check --base-url, `convogen doctor` tells more",
                refused=f"set {spec.api_key_env} to a valid key, run again",
                missing=f"check --base-url and --model {spec.name}",
            ),
        )
        self._dialect = Dialect(spec.json_mode)

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was found to understand."""
        return self._dialect

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where the endpoint refuses a parameter, ask again without it."""
        if request.continuations:
            return await self._likelihoods(request)
        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            status, headers, answer = await self._transport.post(body)
            if 200 <= status < 300:
                self._transport.answered = True
                return read_completion(answer, self._secrets)
            detail = read_error(answer, self._secrets)
            if not self._dialect.adapt(status, detail, body, mode):
                raise self._transport.status_error(status, headers, detail)

    async def _likelihoods(self, request: Request) -> Reply:
        """How likely the request's continuations are, by the echo of `/completions`."""
        body = completions_body(request)
        status, headers, answer = await self._transport.post(body, self._completions_url)
        if 200 <= status < 300:
            self._transport.answered = True
            return read_completions(answer, request.continuations)
        detail = read_error(answer, self._secrets)
        raise self._transport.status_error(status, headers, detail)


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


def _without_credentials(url: str) -> tuple[str, str | None]:
    """A URL without user:password@, and these as an Authorization header instead."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    basic = f"Basic {base64.b64encode(unquote(user).encode()).decode()}" if at else None
    return parts._replace(netloc=host).geturl(), basic
