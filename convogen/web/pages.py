"""Jinja pages: every value is escaped and shows what it holds (`convogen.visible`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from convogen.visible import visible

__all__ = ["STATIC", "page"]

STATIC = "static"
"""The folder of scripts and styles, within `convogen.web` and each of its applications."""


def _shown(value: object) -> object:
    """Return what is written for a value; markup comes from our own macros and stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return the templates of one application; those they share stand in `convogen/web`."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package), jinja2.PackageLoader("convogen.web")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def page(package: str, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template.

    Args:
        package: The application whose `templates` folder is read, for example
            `convogen.web.viewer`.
        name: The template's file name.
        status: The HTTP status.
        values: What the template names; a name that it misses is an error.
    """
    return HTMLResponse(_environment(package).get_template(name).render(**values), status)
