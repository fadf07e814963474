"""Judge that scores how persuasive each speaker of a conversation is, from 1 to 5."""

from __future__ import annotations

from typing import ClassVar

from convogen.extend import Experience, Judge, JudgeInput, ModelFault, Sampling, Score, Session

SCORES = ("1", "2", "3", "4", "5")
SIDES = {"first": 0, "second": 1}


class Persuasion(Judge):
    """Parameters of the judge."""

    name: ClassVar[str] = "persuasion"
    sampling: ClassVar[Sampling] = Sampling(temperature=0.0, max_tokens=4)
    prompt_names: ClassVar[tuple[str, ...]] = ("score",)

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        """Return one aspect for the first speaker and one for the second."""
        del experience
        return tuple(SIDES)

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        """Ask for one digit; any other reply gives a score of None with the reply as reason."""
        conversation = judged.conversation
        score = Score(conversation=conversation.id, judge=self.name, aspect=aspect)
        speakers = list(dict.fromkeys(turn.speaker for turn in conversation.turns))
        if len(speakers) <= SIDES[aspect]:
            return score.model_copy(update={"reason": f"there is no {aspect} speaker"})
        messages = self.prompts["score"].render(
            turns=conversation.turns, speaker=speakers[SIDES[aspect]]
        )
        try:
            answer = await session.ask(self.role, messages, choices=SCORES, sampling=self.sampling)
        except ModelFault as fault:
            return score.model_copy(update={"reason": f"{fault.kind}: {fault}"})
        found = answer.text.strip()
        if found not in SCORES:
            return score.model_copy(update={"reason": f"no score: {found[:200]!r}"})
        return score.model_copy(update={"value": float(found)})
