"""Addresses of pages, and their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse

__all__ = ["address", "one_of", "page_number", "page_of", "tidied", "whole_number"]


def address(path: str, **values: Any) -> str:
    """Return a path with parameters; those that are None or empty are left out."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def page_number(request: Request) -> int:
    """Return the requested page of a list, from 1."""
    return max(1, whole_number(request.query_params.get("page", "")))


def page_of(request: Request, path: str, page: int) -> RedirectResponse:
    """Redirect to another page of a list, such as the last one if the requested one is beyond
    it."""
    return RedirectResponse(f"{path}?{urlencode({**request.query_params, 'page': page})}", 303)


def tidied(request: Request, path: str) -> RedirectResponse | None:
    """Redirect to the address without empty parameters, which forms submit; None without any."""
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if value]
    return RedirectResponse(f"{path}?{urlencode(kept)}", 303) if kept != given else None


def whole_number(text: str) -> int:
    """Return a number from 0 on; 0 for invalid text or too many digits."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def one_of(asked: str | None, known: Sequence[str]) -> str:
    """Return the requested value if it is known, otherwise the first known one; empty if there is
    none."""
    return asked if asked is not None and asked in known else next(iter(known), "")
