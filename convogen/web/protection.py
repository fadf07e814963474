"""Protection of the web pages against hostile text and requests.

All text from models, personas and participants is treated as hostile. Templates escape it, and a
content security policy forbids inline scripts. Forms are accepted only from convogen's own pages:
the browser reports where a request comes from (`Sec-Fetch-Site` or `Origin`), and other pages
cannot change these headers. Request bodies have a maximum size. Requests under unknown host names
are refused, which prevents DNS rebinding.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MOST_BODY", "Protection"]

MOST_BODY = 256 * 1024
"""Maximum size of a request's body in bytes."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class Protection:
    """ASGI middleware that refuses unsafe requests and adds security headers to responses.

    Args:
        app: The protected application.
        hosts: The host names that requests may use; an empty set allows every name.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(Headers(scope=scope), scope["method"]):
            status, why = refusal
            await PlainTextResponse(why, status, _HEADERS)(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY:
                raise HTTPException(413, "The request is too large.")
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, limited, with_headers)

    def _refusal(self, headers: Headers, method: str) -> tuple[int, str] | None:
        """Return the status and reason for a refusal, or None if the request is allowed."""
        host = headers.get("host", "")
        if self._hosts and _name_in(host) not in self._hosts:
            return 421, "This server does not accept this host name."
        if method not in _SAFE_METHODS and not _is_from_our_pages(headers, host):
            return 403, "This request was refused because it comes from another site."
        try:
            if int(headers.get("content-length", "0")) > MOST_BODY:
                return 413, "The request is too large."
        except ValueError:
            return 400, "The Content-Length header is not a number."
        return None


def _is_from_our_pages(headers: Headers, host: str) -> bool:
    """Return whether a modifying request was sent by one of convogen's pages.

    Clients other than browsers send neither `Sec-Fetch-Site` nor `Origin`. They are accepted, since
    they have no cookies that another page could abuse.
    """
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or _parts(origin).netloc == host


def _name_in(host: str) -> str:
    """Return the host name in a `Host` header without the port, or "" if there is no name."""
    return _parts(f"//{host}").hostname or ""


def _parts(address: str) -> SplitResult:
    """Split an address that a client sent; all parts are empty if the address is invalid."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
