"""Access control for the viewer and for the researcher's pages.

If only this machine can reach the server, everybody on this machine has access. Otherwise, every
visitor needs the token in the address that the command line printed. The server then moves the
token from the address into a cookie, so that no bookmark and no `Referer` header contains it.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["COOKIE", "Access", "is_loopback"]

COOKIE = "convogen-token"
"""Prefix of the cookie names."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """Access control for pages; `token` is None if visitors need no token."""

    token: str | None = field(default=None, repr=False)

    @classmethod
    def listening_at(cls, host: str, *, forwarded: bool = False) -> Access:
        """Return access control with a new token, or without one if only this machine has access.

        Args:
            host: The address that the server listens on.
            forwarded: Whether a proxy forwards requests from other machines to the server.
        """
        alone = is_loopback(host) and not forwarded
        return cls(None if alone else secrets.token_urlsafe(24))

    def address(self, base: str) -> str:
        """Return the address that opens the pages at `base`, with the token if one is needed."""
        return f"{base}?{urlencode({'token': self.token})}" if self.token else base

    @property
    def cookie(self) -> str:
        """The cookie's name, which depends on the token since all ports of a host share cookies."""
        return f"{COOKIE}-{blake2b((self.token or '').encode(), digest_size=4).hexdigest()}"

    def refusal(self, request: Request) -> Response | None:
        """Return a response that replaces the page, or None if the request has access."""
        from starlette.responses import PlainTextResponse, RedirectResponse

        if self.token is None or self._matches(request.cookies.get(self.cookie, "")):
            return None
        if self._matches(request.query_params.get("token", "")):
            answer = RedirectResponse(request.url.path, 303)
            secure = request.url.scheme == "https"
            answer.set_cookie(
                self.cookie, self.token, httponly=True, samesite="strict", secure=secure
            )
            return answer
        said = "This page needs a token. Open the address that the command line printed."
        return PlainTextResponse(said, 403)

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())
