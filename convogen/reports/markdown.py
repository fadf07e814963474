"""Texts that stay texts in Markdown and in what is made of it."""

from __future__ import annotations

import html
import re

from convogen.visible import visible

__all__ = ["escaped"]

_SPECIAL = re.compile(r"([\\`*_\[\]{}()#+!|~>-])")


def escaped(text: object) -> str:
    """A text in one line, with all that means something in Markdown or HTML escaped."""
    line = visible(" ".join(str(text).split()))
    return _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))
