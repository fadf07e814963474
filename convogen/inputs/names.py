"""Names that users write, and those they may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["not_known"]

_NEAREST = 3
"""Names that a message proposes at most."""


def not_known(kind: str, name: str, allowed: Iterable[str]) -> str:
    """Return the message that a name is not known, with the nearest of those allowed and all."""
    listed = list(allowed)
    near = get_close_matches(name[:80].casefold(), listed, _NEAREST, 0.5)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{kind} {name[:80]!r} is not known; {meant}allowed: {', '.join(listed)}"
