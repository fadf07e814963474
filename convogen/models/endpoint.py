"""Any OpenAI-compatible chat endpoint, over aiohttp.

A client package that builds typed objects costs several times the call itself, so requests go
out as they are and replies are read here, defensively: an endpoint's answer is foreign input.
"""

from __future__ import annotations

import base64
import email.utils
import json
import os
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.masking import Secrets, public_url, url_secrets
from convogen.models.base import (
    FaultKind,
    Reply,
    Request,
    Transient,
)
from convogen.models.completions import read_completion, read_error
from convogen.models.dialect import Dialect
from convogen.models.spec import ModelSpec

if TYPE_CHECKING:
    import aiohttp

__all__ = ["EndpointModel"]

NO_KEY = "no-key-was-set"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are reached directly, whatever proxy the environment names."""

GATEWAY_TIMEOUTS = (408, 504, 524)
"""Statuses after which the model may still have answered, to be paid for."""

CONNECT_S = 20.0
"""Seconds to reach an endpoint; what it takes to answer is the spec's `timeout_s`."""

MAX_CONNECTIONS = 1000
MAX_ANSWER_BYTES = 64 << 20


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint.

    Raises `ModelConfigError` at once where a key is needed and missing.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        url = spec.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        base_url, basic = _without_credentials(url)
        parts = urlsplit(base_url)
        path = f"{parts.path.rstrip('/')}/chat/completions"
        self._url = parts._replace(path=path, fragment="").geturl()
        self._where = public_url(base_url)
        key = _key(spec)
        own = [key] if key != NO_KEY else []
        self._secrets = Secrets([*own, *url_secrets(url), *(basic or "")[6:].split()])
        self._headers = {
            "Authorization": basic or f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._dialect = Dialect(spec.json_mode)
        self._answered = False
        self._session: aiohttp.ClientSession | None = None

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was found to understand."""
        return self._dialect

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where the endpoint refuses a parameter, ask again without it."""
        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            status, headers, answer = await self._post(body)
            if 200 <= status < 300:
                self._answered = True
                return read_completion(answer, self._secrets)
            detail = read_error(answer, self._secrets)
            if not self._dialect.adapt(status, detail, body, mode):
                raise self._status_error(status, headers, detail)

    async def _post(self, body: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; the time-out is over all of it."""
        import aiohttp

        session = self._session = self._session or self._connected()
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            async with session.post(self._url, data=sent) as response:
                return response.status, response.headers, await _bounded(response.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        except ValueError as error:  # what aiohttp finds in a malformed answer
            said = self._secrets.mask_error(" ".join(str(error).split()))
            raise Transient(f"unreadable answer: {said}"[:300], kind="unreadable") from error

    def _connected(self) -> aiohttp.ClientSession:
        """The connections of this event loop, made when the first is needed."""
        import aiohttp

        timeout_s = self._spec.timeout_s
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=_tls(self._url)),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s)),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(self._url),
        )

    def _unreachable(self, error: BaseException) -> Exception:
        """What kept an answer from coming; the transport calls most of it a time-out."""
        import aiohttp

        causes = list(_causes(error))
        cause = causes[-1]
        said = self._secrets.mask_error(" ".join(f"{type(cause).__name__}: {cause}".split()))
        message = f"{self._where} cannot be reached ({said})"[:300]
        unconnected = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        if not self._answered and any(isinstance(each, unconnected) for each in causes):
            return EndpointDown(f"{message}; check --base-url, `convogen doctor` tells more")
        sent = not any(isinstance(each, unconnected) for each in causes)
        if sent and any(isinstance(each, TimeoutError) for each in causes):
            said = f"{self._where}: no answer within {self._spec.timeout_s:g} s"
            return Transient(said, kind="time-out")
        return Transient(message, kind="connection" if sent else "unconnected")

    def _status_error(self, status: int, headers: Mapping[str, str], detail: str) -> Exception:
        said = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{said}; set {self._spec.api_key_env} to a valid key, run again")
        if status in (404, 405):
            return ModelConfigError(f"{said}; check --base-url and --model {self._spec.name}")
        if status == 402 or (status == 429 and "insufficient_quota" in detail):
            return EndpointDown(f"{said}; the account has no credit left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(said, _retry_after_s(headers), _kind(status))
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


def _without_credentials(url: str) -> tuple[str, str | None]:
    """A URL without user:password@, and these as an Authorization header instead."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    basic = f"Basic {base64.b64encode(unquote(user).encode()).decode()}" if at else None
    return parts._replace(netloc=host).geturl(), basic


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL; none for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _tls(url: str) -> ssl.SSLContext | bool:
    """Certificates are checked against those that the operating system trusts."""
    if urlsplit(url).scheme != "https":
        return True
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, the first cause last."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _kind(status: int) -> FaultKind:
    """What a status says of the endpoint; 529 is used for overload beside 503."""
    if status in GATEWAY_TIMEOUTS:
        return "time-out"
    return "throttled" if status in (425, 429, 503, 529) else "server"


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


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """All of an answer; raises `Transient` for one without measure."""
    read = bytearray()
    async for chunk in content.iter_any():
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            said = f"an answer of more than {MAX_ANSWER_BYTES >> 20} MiB"
            raise Transient(said, kind="unreadable")
    return bytes(read)
