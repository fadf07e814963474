"""Judges: language models that score conversations. A protocol, a file."""

from __future__ import annotations

from convogen.judges.base import Judge, JudgeInput

__all__ = ["Judge", "JudgeInput"]
