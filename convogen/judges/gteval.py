"""GTEval: can a generated dialogue be distinguished from a real one on the same seed?

Role plays, which have no seed, are paired with dialogues by the same person with the same goal. A
generated dialogue is indistinguishable if the choice does not name it, so `Both` and `Neither` also
count. In the original, the real dialogue always comes first (`order: fixed`). By default, the order
is drawn at random for each pair, and the choice is recorded as if the generated dialogue had come
second. Source: DialogueForge, section 4.1, after BotChat.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from convogen.judges.base import JudgeInput
from convogen.judges.human_likeness import Choice, Paired, drawn_place

__all__ = ["GTEval"]

_OTHER = {"Conversation 1": "Conversation 2", "Conversation 2": "Conversation 1"}


class GTEval(Paired):
    """Parameters of the GTEval judge."""

    name: ClassVar[str] = "gteval"
    choices: ClassVar[tuple[str, ...]] = ("Conversation 1", "Conversation 2", "Both", "Neither")
    aspect: ClassVar[str] = "indistinguishable"

    order: Literal["shuffled", "fixed"] = Field(
        default="shuffled",
        description="order of the two dialogues: `shuffled` (drawn at random for each pair) or "
        "`fixed` (the real dialogue first)",
    )
    order_seed: int = Field(
        default=0, description="random seed for the order of the two dialogues with order: shuffled"
    )

    def place(self, judged: JudgeInput) -> Literal[1, 2]:
        if self.order == "fixed":
            return 2
        return drawn_place(self.order_seed, judged.conversation.id)

    def scored(self, judged: JudgeInput, verdict: Choice) -> dict[str, Any]:
        place, choice = self.place(judged), verdict.choice
        if place == 1:
            choice = _OTHER.get(choice, choice)
        return {"value": float(choice != "Conversation 2"), "choice": choice, "place": place}
