"""Jinja pages, in which every value is escaped and control characters are made visible."""

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
    """Make control characters in a string visible, unless it is markup from convogen's macros."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return the templates of one application; shared templates are in `convogen/web`."""
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
    """Return a page rendered from a template.

    Args:
        package: The application whose `templates` folder is read, for example
            `convogen.web.viewer`.
        name: The template's file name.
        status: The HTTP status.
        values: Variables of the template; a missing variable is an error.
    """
    return HTMLResponse(_environment(package).get_template(name).render(**values), status)
