"""Escaping of text for Markdown and for the HTML rendered from it."""

from __future__ import annotations

import html
import re

from convogen.visible import visible

__all__ = ["escaped"]

_SPECIAL = re.compile(r"([\\`*_\[\]{}()#+!|~>-])")


def escaped(text: object) -> str:
    """Return text on one line, escaping all characters that are special in Markdown or HTML."""
    line = visible(" ".join(str(text).split()))
    return _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))
