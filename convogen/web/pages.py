"""Rendering of pages with Jinja: values are escaped, and control characters are made visible."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from convogen.visible import visible

__all__ = ["STATIC", "page"]

STATIC = "static"
"""Name of the folder with scripts and styles in `convogen.web` and in each of its applications."""


def _shown(value: object) -> object:
    """Make control characters visible in strings other than the markup from convogen's macros."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return the Jinja environment for an application's templates and those in `convogen.web`."""
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
        values: Variables for the template; a missing variable is an error.
    """
    return HTMLResponse(_environment(package).get_template(name).render(**values), status)
