"""Rejects conversations with fewer turns than required."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from convogen.gates.base import Candidate, Gate, Rejection
from convogen.models.traffic.session import Session

__all__ = ["MinTurns"]


class MinTurns(Gate):
    """Parameters of the `min_turns` gate."""

    name: ClassVar[str] = "min_turns"

    turns: int = Field(
        ge=1,
        description="minimum number of turns, including the opening, for a conversation to be "
        "accepted",
    )

    def never_passed(self, most_turns: int | None, *, experiences: bool) -> str | None:
        if most_turns is None or self.turns <= most_turns:
            return None
        return (
            f"turns: {self.turns} turns are required, but this method's conversations have at most "
            f"{most_turns}"
        )

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        found = len(candidate.conversation.turns)
        if found >= self.turns:
            return None
        return Rejection(f"{found} turns, fewer than {self.turns}", found)
