"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["not_known"]

_NEAREST = 3
"""Maximum number of names that a message suggests."""


def not_known(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return the message for an unknown name: the closest allowed names, then all allowed names."""
    listed = list(allowed)
    near = get_close_matches(name[:80].casefold(), listed, _NEAREST, 0.5)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{kind} {name[:80]!r} is not known; {meant}allowed: {', '.join(listed)}"
