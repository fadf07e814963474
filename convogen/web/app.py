"""The parts shared by the viewer and the study application: protection, styles and error pages."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from convogen.web.pages import STATIC, page
from convogen.web.protection import Protection

__all__ = ["application"]

LOG = logging.getLogger(__name__)


async def _error(_: Request, error: Exception) -> Response:
    """Respond with an error page that reveals nothing about the server's state."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Something went wrong."
    return page("convogen.web", "error.html", status, status_code=status, detail=detail)


async def _unavailable(_: Request, error: Exception) -> Response:
    """Respond with an error page after a database error, for example if the disk is full."""
    LOG.error("database error: %s", error)
    detail = (
        "Data cannot be read or saved right now. Please go back in your browser and try again in "
        "a moment. Everything saved so far is safe."
    )
    return page("convogen.web", "error.html", 503, status_code=503, detail=detail)


def application(
    package: str,
    routes: Sequence[BaseRoute],
    *,
    hosts: frozenset[str] = frozenset(),
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Protection:
    """Return a protected application with the given routes and the `static` files.

    Args:
        package: The application's package. Its `static` folder and the `static` folder of
            `convogen.web` are served under `/static`.
        routes: The application's own routes.
        hosts: The allowed host names; an empty set allows every name.
        lifespan: Context manager in which the application runs; it may set the application's
            state.
    """
    files = StaticFiles(packages=[(package, STATIC), ("convogen.web", STATIC)])
    handlers = {HTTPException: _error, sqlite3.OperationalError: _unavailable, 500: _error}
    app = Starlette(
        routes=[*routes, Mount("/static", files)], exception_handlers=handlers, lifespan=lifespan
    )
    return Protection(app, hosts)
