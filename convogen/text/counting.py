"""Formatting of a number with its noun."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, noun: str) -> str:
    """Return a number followed by a regular noun, which is plural unless the number is 1.

    >>> counted(1, "answer"), counted(1200, "answer")
    ('1 answer', '1,200 answers')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
