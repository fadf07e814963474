"""G-Eval as in DiaSynth: four qualities of any dialogue, scored from 1 to 3 (section 5.1, table 5).

Each quality takes one model call, whose prompt contains only the dialogue and a scale with a
description of each score. The final score is the sum of k times p(k), where p(k) is the normalised
probability of the score token k. This follows the authors' code, in which groundedness means
factual accuracy; the wording is convogen's.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from convogen.errors import ModelFault
from convogen.judges.base import JudgeInput, fault_reason
from convogen.judges.geval import ScaleJudge
from convogen.judges.score_reading import Scale
from convogen.models.traffic.session import Session
from convogen.records import Experience, Score
from convogen.text.transcript import transcript

__all__ = ["QUALITIES", "GEval3"]

QUALITIES = {
    "engagingness": """\
Engagingness: would one want to read on, or join in?
1: dull; what anybody might say about anything
2: of some interest, such as an opinion or a thought one could take up
3: interesting throughout, or it tells something one did not know""",
    "naturalness": """\
Naturalness: does it sound like people talking to each other?
1: stiff or mechanical
2: mostly natural, with phrases that nobody would say
3: people could have said all of it, word for word""",
    "coherence": """\
Coherence: does it hang together, and can one follow it?
1: confused; one loses track
2: it makes sense, with a jump, a gap or a small contradiction
3: each turn follows from what was said before""",
    "groundedness": """\
Groundedness: is what is said about the world accurate?
1: it has false or misleading statements
2: mostly accurate, with a small error or a claim that nothing supports
3: accurate, and its claims have support""",
}
"""The columns of table 5: the qualities and the meanings of their scores."""


class GEval3(ScaleJudge):
    """Parameters of the geval3 judge."""

    name: ClassVar[str] = "geval3"
    prompt_names: ClassVar[tuple[str, ...]] = ("score",)

    scale: Scale = Field(default=(1, 3), description="lowest and highest score, both single digits")
    questions: dict[str, str] = Field(
        default=QUALITIES,
        min_length=1,
        description="for each aspect, its description and the meaning of each score",
    )

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        return tuple(self.questions)

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        empty = Score(conversation=judged.conversation.id, judge=self.name, aspect=aspect)
        low, high = self.scale
        asked = self.prompts["score"].render(
            transcript=transcript(judged.conversation.turns),
            aspect=self.questions[aspect],
            low=low,
            high=high,
        )
        try:
            return await self.weighed_score(session, asked, empty)
        except ModelFault as fault:
            return empty.model_copy(update={"reason": fault_reason(fault)})
