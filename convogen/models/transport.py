"""JSON over HTTP to one place: what comes back, and what kept it from coming.

An answer is foreign input: bounded, and never trusted to be what it should be.
"""

from __future__ import annotations

import email.utils
import json
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.masking import Secrets, public_url
from convogen.models.base import FaultKind, Transient

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Advice", "Transport"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are reached directly, whatever proxy the environment names."""

GATEWAY_TIMEOUTS = (408, 504, 524)
"""Statuses after which the model may still have answered, to be paid for."""

CONNECT_S = 20.0
"""Seconds to reach an endpoint; what it takes to answer is the spec's `timeout_s`."""

MAX_CONNECTIONS = 1000
MAX_ANSWER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Advice:
    """What a user is told to do where a place is not reached, refuses us, or is not there."""

    unreached: str
    refused: str
    missing: str


class Transport:
    """Posts JSON to a URL. `most_bytes` bounds an answer."""

    def __init__(
        self,
        url: str,
        where: str,
        headers: Mapping[str, str],
        timeout_s: float,
        secrets: Secrets,
        advice: Advice,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._url = url
        self._where = where
        self._headers = headers
        self._timeout_s = timeout_s
        self._secrets = secrets
        self._advice = advice
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None
        self.answered = False
        """Whether anything was ever answered; before, an endpoint that is not reached is down."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, body: object, path: str | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; the time-out is over all of it.

        `path` is another URL on the same host, in place of the transport's own.
        """
        import aiohttp

        session = self._session = self._session or self._connected()
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            async with session.post(
                path or self._url, data=sent, allow_redirects=False
            ) as response:
                answer = await _bounded(response.content, self._most_bytes)
                return response.status, response.headers, answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        except ValueError as error:  # what aiohttp finds in a malformed answer
            said = self._secrets.mask_error(" ".join(str(error).split()))
            raise Transient(f"unreadable answer: {said}"[:300], kind="unreadable") from error

    def _connected(self) -> aiohttp.ClientSession:
        """The connections of this event loop, made when the first is needed."""
        import aiohttp

        timeout_s = self._timeout_s
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
        if not self.answered and any(isinstance(each, unconnected) for each in causes):
            return EndpointDown(f"{message}; {self._advice.unreached}")
        sent = not any(isinstance(each, unconnected) for each in causes)
        if sent and any(isinstance(each, TimeoutError) for each in causes):
            said = f"{self._where}: no answer within {self._timeout_s:g} s"
            return Transient(said, kind="time-out")
        return Transient(message, kind="connection" if sent else "unconnected")

    def status_error(self, status: int, headers: Mapping[str, str], detail: str) -> Exception:
        """What an error status, with what was said of it, is to the caller."""
        if 300 <= status < 400:
            place = self._secrets.mask_error(public_url(headers.get("location", "nowhere")))[:200]
            return ModelConfigError(
                f"{self._where} answered {status} and sends on to {place}; that is not followed, "
                f"so that no secret goes there; {self._advice.missing}"
            )
        said = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{said}; {self._advice.refused}")
        if status in (404, 405):
            return ModelConfigError(f"{said}; {self._advice.missing}")
        if status == 402 or (status == 429 and "insufficient_quota" in detail):
            return EndpointDown(f"{said}; the account has no credit left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(said, _retry_after_s(headers), _kind(status))
        if "context" in detail and ("length" in detail or "exceed" in detail or "size" in detail):
            return ModelFault("context_length", said, detail)
        if "content_filter" in detail or "content management policy" in detail:
            return ModelFault("content_filter", said, detail)
        return ModelFault("bad_request", said, detail)


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


async def _bounded(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """All of an answer; raises `Transient` for one without measure."""
    read = bytearray()
    async for chunk in content.iter_any():
        read += chunk
        if len(read) > most_bytes:
            said = f"an answer of more than {most_bytes >> 20} MiB"
            raise Transient(said, kind="unreadable")
    return bytes(read)
