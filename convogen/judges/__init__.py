"""Judges: language models that score conversations. A protocol, a file."""

from __future__ import annotations

from convogen.judges.base import Judge, Judged

__all__ = ["Judge", "Judged"]
