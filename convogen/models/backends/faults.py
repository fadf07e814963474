"""Exceptions for failed calls, as the caller sees them.

An error that a retry may fix becomes `Transient`; the others say what the user must change. No
message contains a secret.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.backends.remedies import remedy
from convogen.models.base import FaultKind, Request, Transient, Unreached
from convogen.redaction import Secrets, public_url

__all__ = ["Advice", "Faults", "Refusal", "too_long"]

REMEDIED = (400, 404, 413, 422, 500)
"""Statuses whose error messages may suggest a remedy."""

_TLS_ALERT = r"b'\x15\x03"
"""The beginning of a TLS server's response to plain HTTP, as Python prints it."""

GATEWAY_TIMEOUTS = (408, 504, 524)
"""Statuses after which the model may still have answered, and be billed."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do if a server cannot be reached, refuses access, is not found, or responds too
    late."""

    unreached: str
    refused: str
    missing: str
    late: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response.

    Attributes:
        status: The HTTP status, or the equivalent of an error in the body.
        headers: Headers of the response.
        detail: The server's message, in one line.
        is_page: Whether the response is a web page, and so probably not from the API itself.
    """

    status: int
    headers: Mapping[str, str]
    detail: str
    is_page: bool = False


class Faults:
    """Turns the errors of one server into exceptions.

    Args:
        where: The server, as messages name it.
        timeout_s: Seconds a call to it may take.
        secrets: Secrets to mask in messages.
        advice: What the user can do.
    """

    def __init__(self, where: str, timeout_s: float, secrets: Secrets, advice: Advice) -> None:
        self._where = where
        self._timeout_s = timeout_s
        self._secrets = secrets
        self._advice = advice
        self.answered = False
        """Whether anything was ever answered; until then, an endpoint that cannot be reached is
        `Unreached`."""

    def unreached(self, error: BaseException) -> Exception:
        """Return the exception to raise for one of the HTTP client, which reports most failures as
        time-outs."""
        import aiohttp

        causes = list(_causes(error))
        cause = causes[-1]
        detail = self._secrets.mask_error(" ".join(f"{type(cause).__name__}: {cause}".split()))
        if (broken := _broken(causes)) is not None:
            what, kind = broken
            return Transient(f"{self._where} {what} ({detail})"[:300], kind=kind)
        message = f"{self._where} cannot be reached ({detail})"[:300]
        unconnected = (
            aiohttp.ClientConnectorError,
            aiohttp.ClientHttpProxyError,
            aiohttp.ConnectionTimeoutError,
        )
        sent = not any(isinstance(each, unconnected) for each in causes)
        if not sent and not self.answered:
            no_tls = "WRONG_VERSION_NUMBER" in detail
            advice = "it does not speak TLS: try http:// in --base-url" if no_tls else ""
            return Unreached(f"{message}; {advice or self._advice.unreached}")
        if sent and any(isinstance(each, TimeoutError) for each in causes):
            late = f"{self._where}: no answer within {self._timeout_s:g} s; {self._advice.late}"
            return Transient(late, kind="time-out")
        return Transient(message, kind="connection" if sent else "unconnected")

    def unreadable(self, error: ValueError) -> Transient:
        """Return the exception for a response that is not HTTP."""
        detail = self._secrets.mask_error(" ".join(str(error).split()))
        return Transient(f"unreadable answer: {detail}"[:300], kind="unreadable")

    def refused(self, refusal: Refusal, request: Request | None = None) -> Exception:
        """Return the exception for an error response; the advice names settings of `request`."""
        status, detail = refusal.status, refusal.detail
        if 300 <= status < 400:
            place = public_url(refusal.headers.get("location", "nowhere"))
            return ModelConfigError(
                f"{self._where} answered {status} and redirects to "
                f"{self._secrets.mask_error(place)[:200]}; the redirect is not followed, so that "
                f"no secret is sent there; {self._advice.missing}"
            )
        message = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{message}; {self._advice_refused(refusal)}")
        if status == 407:
            return EndpointDown(f"{message}; the proxy set in the environment requires a login")
        if status == 402 or (status == 429 and "insufficient_quota" in detail):
            return EndpointDown(f"{message}; the account has no credit left")
        known = remedy(detail, request) if status in REMEDIED else None
        if known is not None and known.stops:
            return ModelConfigError(f"{message}; {known.advice}")
        if status in (404, 405):
            return ModelConfigError(f"{message}; {self._advice.missing}")
        overflows = known is not None and known.kind == "context_length"
        if status in (408, 409, 425, 429) or (status >= 500 and not overflows):
            return Transient(message, _retry_after_s(refusal.headers), _kind(status))
        if known is not None:
            return ModelFault(known.kind, f"{message}; {known.advice}", detail)
        return ModelFault("bad_request", message, detail)

    def _advice_refused(self, refusal: Refusal) -> str:
        if not refusal.is_page:
            return self._advice.refused
        return (
            "a web page is not an API answer: something in front of the API refused this machine "
            "(a firewall such as Cloudflare's, a proxy, a login), whatever the key"
        )


def too_long(most_bytes: int) -> Transient:
    """Return the exception for a response that exceeds the size limit."""
    return Transient(f"an answer of more than {most_bytes >> 20} MiB", kind="unreadable")


def _broken(causes: Sequence[BaseException]) -> tuple[str, FaultKind] | None:
    """Return message and kind for a broken response; None if none had begun."""
    import aiohttp
    import httpx2
    from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine

    if any(isinstance(each, httpx2.DecodingError) for each in causes):
        return "sent an answer that cannot be decompressed", "unreadable"
    if any(isinstance(each, aiohttp.ClientPayloadError) for each in causes):
        return "cut its answer short", "connection"
    if isinstance(causes[-1], BadStatusLine) and _TLS_ALERT in f"{causes[-1]}":
        return "speaks TLS: try https:// in --base-url", "unreadable"
    if isinstance(causes[-1], BadHttpMessage):
        return "gave an answer that is not HTTP", "unreadable"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, the first cause last."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _kind(status: int) -> FaultKind:
    """Return the kind of fault of a status; some endpoints send 529 for overload instead of 503."""
    if status in GATEWAY_TIMEOUTS:
        return "time-out"
    return "throttled" if status in (425, 429, 503, 529) else "server"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the requested delay in seconds, given as milliseconds, seconds or a date (RFC
    9110)."""
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
