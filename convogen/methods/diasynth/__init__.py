"""DiaSynth: topics, their subtopics, personas for each, and a reasoned dialogue of every pair."""

from __future__ import annotations

from convogen.methods.diasynth.method import DiaSynth

__all__ = ["DiaSynth"]
