"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["guess", "not_known"]

_NEAREST = 3
"""Maximum number of names that a message suggests."""


def not_known(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return the message for an unknown name: the closest allowed names, then all allowed names."""
    listed = list(allowed)
    meant = guess(name, listed, _NEAREST, 0.5)
    return f"{kind} {name[:80]!r} is not known; {meant}allowed: {', '.join(listed)}"


def guess(name: str, allowed: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """Return the question "did you mean …? " with up to `most` allowed names; empty if no name has
    at least the similarity `cutoff` (0 to 1)."""
    by_folded = {one.casefold(): one for one in allowed}
    near = get_close_matches(name[:80].casefold(), by_folded, most, cutoff)
    return f"did you mean {' or '.join(by_folded[one] for one in near)}? " if near else ""
