"""Conversion of failed calls into exceptions.

An error that a retry may fix becomes `Transient`. The messages of the other exceptions tell the
user what to change. No message contains a secret.
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
"""HTTP statuses for which a remedy is derived from the error message."""

_TLS_ALERT = r"b'\x15\x03"
"""Beginning of a TLS server's response to plain HTTP, as Python prints it."""

GATEWAY_TIMEOUTS = (408, 504, 524)
"""Statuses after which the model may still have completed a reply, which may be billed."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice to the user if a server cannot be reached, refuses access, is not found or responds
    too late."""

    unreached: str
    refused: str
    missing: str
    late: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response.

    Attributes:
        status: HTTP status, or the equivalent status of an error in the body.
        headers: Headers of the response.
        detail: The server's message as one line.
        is_page: Whether the response is a web page and therefore probably not from the API.
    """

    status: int
    headers: Mapping[str, str]
    detail: str
    is_page: bool = False


class Faults:
    """Converter of one server's errors into exceptions.

    Args:
        where: Name of the server in messages.
        timeout_s: Time limit for a call in seconds.
        secrets: Secrets to mask in messages.
        advice: Advice for the user.
    """

    def __init__(self, where: str, timeout_s: float, secrets: Secrets, advice: Advice) -> None:
        self._where = where
        self._timeout_s = timeout_s
        self._secrets = secrets
        self._advice = advice
        self.answered = False
        """Whether the server has ever responded. Until then, a failure to reach it is
        `Unreached`."""

    def unreached(self, error: BaseException) -> Exception:
        """Convert an exception from the HTTP client, which reports most failures as time-outs."""
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
            advice = "the server does not speak TLS; try http:// in --base-url" if no_tls else ""
            return Unreached(f"{message}; {advice or self._advice.unreached}")
        if sent and any(isinstance(each, TimeoutError) for each in causes):
            late = f"{self._where}: no response within {self._timeout_s:g} s; {self._advice.late}"
            return Transient(late, kind="time-out")
        return Transient(message, kind="connection" if sent else "unconnected")

    def unreadable(self, error: ValueError) -> Transient:
        """Return the exception for a response that is not HTTP."""
        detail = self._secrets.mask_error(" ".join(str(error).split()))
        return Transient(f"unreadable response: {detail}"[:300], kind="unreadable")

    def refused(self, refusal: Refusal, request: Request | None = None) -> Exception:
        """Return the exception for an error response, with advice on the settings of `request`."""
        status, detail = refusal.status, refusal.detail
        if 300 <= status < 400:
            place = public_url(refusal.headers.get("location", "nowhere"))
            return ModelConfigError(
                f"{self._where} answered {status} and redirects to "
                f"{self._secrets.mask_error(place)[:200]}; the redirect is not followed, because "
                f"it could leak secrets; {self._advice.missing}"
            )
        message = f"{self._where} answered {status}: {detail}"[:400]
        if status in (401, 403):
            return EndpointDown(f"{message}; {self._advice_refused(refusal)}")
        if status == 407:
            return EndpointDown(
                f"{message}; the proxy set in the environment requires a login; add "
                "the user name and password to the proxy's URL"
            )
        if status == 402 or (status == 429 and "insufficient_quota" in detail):
            return EndpointDown(
                f"{message}; the account has no credit left; add credit or use another key"
            )
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
            "the response is a web page and not from the API; a firewall such as Cloudflare's, a "
            "proxy or a login page probably blocked this machine, so another key will not help"
        )


def too_long(most_bytes: int) -> Transient:
    """Return the exception for a response that exceeds the size limit."""
    return Transient(f"the response exceeds {most_bytes >> 20} MiB", kind="unreadable")


def _broken(causes: Sequence[BaseException]) -> tuple[str, FaultKind] | None:
    """Return the message and kind for a broken response; None for an error without a response."""
    import aiohttp
    import httpx2
    from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine

    if any(isinstance(each, httpx2.DecodingError) for each in causes):
        return "sent a response that cannot be decompressed", "unreadable"
    if any(isinstance(each, aiohttp.ClientPayloadError) for each in causes):
        return "sent an incomplete response", "connection"
    if isinstance(causes[-1], BadStatusLine) and _TLS_ALERT in f"{causes[-1]}":
        return "requires TLS; try https:// in --base-url", "unreadable"
    if isinstance(causes[-1], BadHttpMessage):
        return "sent a response that is not HTTP", "unreadable"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its chain of causes, ending with the root cause."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _kind(status: int) -> FaultKind:
    """Return the kind of fault for a status. Some endpoints report overload as 529, not 503."""
    if status in GATEWAY_TIMEOUTS:
        return "time-out"
    return "throttled" if status in (425, 429, 503, 529) else "server"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the requested delay in seconds; None if the headers request none. The headers may give
    the delay in milliseconds, in seconds or as a date (RFC 9110)."""
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
