"""UniEval: does a dialogue contain an utterance that a machine wrote in the person's role?

The judge chooses `Yes` or `No` and gives a reason. With `Yes`, it also names the first such
utterance. The pass rate is the share of `No` verdicts. Source: DialogueForge, section 4.1, after
BotChat.
"""

from __future__ import annotations

from typing import Any, ClassVar

from convogen.judges.base import JudgeInput
from convogen.judges.human_likeness import REASON, Choice, TuringJudge, in_question, numbered
from convogen.models.base import Message

__all__ = ["UniEval"]


class UniEval(TuringJudge):
    """Parameters of the UniEval judge."""

    name: ClassVar[str] = "unieval"
    choices: ClassVar[tuple[str, ...]] = ("Yes", "No")
    aspect: ClassVar[str] = "human_like"

    def indices(self, judged: JudgeInput) -> list[int]:
        return in_question(judged.conversation.turns)

    def shown(self, judged: JudgeInput, longest: int) -> list[Message]:
        turns = judged.conversation.turns
        numbers = ", ".join(map(str, in_question(turns)))
        return self.prompts["verdict"].render(
            dialogue=numbered(turns, longest),
            numbers=numbers,
            words=REASON,
            reason_first=self.reason_first,
        )

    def scored(self, judged: JudgeInput, verdict: Choice) -> dict[str, Any]:
        passed = verdict.choice == "No"
        return {"value": float(passed), "choice": verdict.choice, "index": verdict.index}
