"""Judges: language models that score conversations, one file per protocol."""

from __future__ import annotations

from convogen.judges.base import Judge, JudgeInput

__all__ = ["Judge", "JudgeInput"]
