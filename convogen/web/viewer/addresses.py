"""Addresses of pages, and what their parameters say."""

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
    """Return the page of a list that is asked for, from 1."""
    return max(1, whole_number(request.query_params.get("page", "")))


def page_of(request: Request, path: str, page: int) -> RedirectResponse:
    """Lead to another page of what is asked for, such as the last one from beyond it."""
    return RedirectResponse(f"{path}?{urlencode({**request.query_params, 'page': page})}", 303)


def tidied(request: Request, path: str) -> RedirectResponse | None:
    """Lead to the address without its empty parameters, which every form leaves; None without."""
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if value]
    return RedirectResponse(f"{path}?{urlencode(kept)}", 303) if kept != given else None


def whole_number(text: str) -> int:
    """Return a number from 0 on; 0 if a text is none, or has more digits than anything here."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def one_of(asked: str | None, known: Sequence[str]) -> str:
    """Return what is asked for if it is known, else the first that is; empty if nothing is."""
    return asked if asked is not None and asked in known else next(iter(known), "")
