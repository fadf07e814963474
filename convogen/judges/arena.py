"""Arena: which of two generated dialogues on the same seed has the more human-like user?

In scores, `A` is the judged dialogue and `B` is the other dialogue, whatever their order in the
prompt. The value is 1 if `A` wins, 0 if it loses and 0.5 for a tie. The protocol follows the
pairwise arenas of BotChat and Chatbot Arena.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from convogen.judges.base import JudgeInput
from convogen.judges.human_likeness import Choice, Paired, drawn_place

__all__ = ["Arena"]

_OTHER = {"A": "B", "B": "A", "tie": "tie"}
_POINTS = {"A": 1.0, "B": 0.0, "tie": 0.5}


class Arena(Paired):
    """Parameters of the arena judge."""

    name: ClassVar[str] = "arena"
    choices: ClassVar[tuple[str, ...]] = ("A", "B", "tie")
    aspect: ClassVar[str] = "more_human"

    order_seed: int = Field(
        default=0, description="random seed for the order in which the two dialogues are shown"
    )

    def place(self, judged: JudgeInput) -> Literal[1, 2]:
        return drawn_place(self.order_seed, judged.conversation.id)

    def scored(self, judged: JudgeInput, verdict: Choice) -> dict[str, Any]:
        place = self.place(judged)
        choice = verdict.choice if place == 1 else _OTHER[verdict.choice]
        return {"value": _POINTS[choice], "choice": choice, "place": place}
