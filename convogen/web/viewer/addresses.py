"""Addresses of the viewer's pages, and the parameters in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse

__all__ = ["address", "one_of", "page_number", "page_of", "tidied", "whole_number"]


def address(path: str, **values: Any) -> str:
    """Return a path with parameters, except those that are None or empty."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def page_number(request: Request) -> int:
    """Return the number of the requested page of a list, counted from 1."""
    return max(1, whole_number(request.query_params.get("page", "")))


def page_of(request: Request, path: str, page: int) -> RedirectResponse:
    """Return a redirect to another page of a list, for example to the last page if the requested
    page does not exist."""
    return RedirectResponse(f"{path}?{urlencode({**request.query_params, 'page': page})}", 303)


def tidied(request: Request, path: str) -> RedirectResponse | None:
    """Return a redirect to the address without the empty parameters that forms submit, or None if
    no parameter is empty."""
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if value]
    return RedirectResponse(f"{path}?{urlencode(kept)}", 303) if kept != given else None


def whole_number(text: str) -> int:
    """Return the whole number in a text, or 0 if the text is not a number of at most 9 digits."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def one_of(asked: str | None, known: Sequence[str]) -> str:
    """Return the requested value if it is known, otherwise the first known value, or "" if there
    are no known values."""
    return asked if asked is not None and asked in known else next(iter(known), "")
