"""The state shared by a study's page handlers."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from convogen.study.store import Store
from convogen.study.study_file import CollectDesign, PairsDesign, RatingsDesign
from convogen.web.access import Access
from convogen.web.pages import page
from convogen.web.study.limiter import Limiter
from convogen.web.study.replies import Replies

__all__ = ["COOKIE", "PACKAGE", "STUDY", "Site", "redirect", "site_of"]

PACKAGE = "convogen.web.study"
COOKIE = "convogen-study"
"""Prefix of the cookie names."""

STUDY = "/study"
"""The address of all participants' pages; a participant's answers determine which page is shown."""


@dataclass(frozen=True)
class Site:
    """A study that is being served."""

    design: CollectDesign | PairsDesign | RatingsDesign
    store: Store
    access: Access
    limiter: Limiter
    replies: Replies | None
    secret: bytes

    @property
    def cookie(self) -> str:
        """The cookie's name, which depends on the study since all ports of a host share cookies."""
        return f"{COOKIE}-{blake2b(self.secret, digest_size=4).hexdigest()}"

    def page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page of the study; its template has access to the design."""
        return page(PACKAGE, name, status, design=self.design, **values)

    def token(self, participant: str, step: str) -> str:
        """Return the token for forms on a participant's page for a step."""
        text = f"{participant}\x1f{step}".encode()
        return blake2b(text, key=self.secret, digest_size=12).hexdigest()

    def is_token(self, given: str, participant: str, step: str) -> bool:
        """Return whether a form with this token came from the participant's page for the step."""
        known = self.token(participant, step)
        return hmac.compare_digest(given.encode(errors="replace"), known.encode())


def site_of(request: Request) -> Site:
    """Return the site that received a request."""
    return request.app.state.site


def redirect(path: str) -> RedirectResponse:
    """Return a redirect to another page, so that reloading does not repeat the request."""
    return RedirectResponse(path, 303)
