"""Metric for the share of turns that are questions."""

from __future__ import annotations

from typing import ClassVar

from convogen.extend import Conversation, Metric


class QuestionRate(Metric):
    """The share of turns that end with a question mark."""

    name: ClassVar[str] = "question_rate"
    about: ClassVar[str] = "the share of turns that end with a question mark"
    unit: ClassVar[str] = "questions / turn"

    def __init__(self) -> None:
        self._turns = 0
        self._questions = 0

    def add(self, conversation: Conversation) -> None:
        self._turns += len(conversation.turns)
        self._questions += sum(turn.text.rstrip().endswith("?") for turn in conversation.turns)

    def value(self) -> float | None:
        return self._questions / self._turns if self._turns else None
