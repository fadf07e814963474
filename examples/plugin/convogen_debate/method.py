"""Method in which a proposer and an opponent take turns to debate a motion."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from convogen.extend import (
    Conversation,
    Method,
    ModelFault,
    Outcome,
    Play,
    RunInputs,
    Sampling,
    Task,
    Turn,
)

SIDES = {"Proposer": "for", "Opponent": "against"}


class Debate(Method):
    """Parameters of the method."""

    name: ClassVar[str] = "debate"
    process: ClassVar[str] = (
        "Two models debate a motion: one speaks for it, and the other against it."
    )
    roles: ClassVar[dict[str, Sampling]] = {"debater": Sampling(temperature=0.8, max_tokens=200)}
    prompt_names: ClassVar[tuple[str, ...]] = ("speech",)

    motions: tuple[str, ...] = Field(min_length=1, description="motions to debate, in this order")
    turns: int = Field(
        default=6, ge=2, le=40, description="number of speeches; the proposer begins"
    )

    def start(self, inputs: RunInputs) -> Play:
        return _DebatePlay(self, inputs)


class _DebatePlay(Play):
    def __init__(self, method: Debate, inputs: RunInputs) -> None:
        self._method = method
        self._prompt = inputs.prompts["speech"]

    async def play(self, task: Task) -> Outcome:
        motion = self._method.motions[task.number % len(self._method.motions)]
        turns: list[Turn] = []
        try:
            for number in range(self._method.turns):
                turns.append(await self._speech(task, motion, turns, number))
        except ModelFault as fault:
            return Outcome(failure=task.failure("debate", fault))
        conversation = Conversation(
            id=f"c-{task.id}",
            task=task.number,
            method=self._method.name,
            participants=list(SIDES),
            context={"topic": motion},
            turns=turns,
            ended="max_turns",
            usage=task.session.usage,
        )
        return Outcome(conversation=conversation)

    async def _speech(self, task: Task, motion: str, before: list[Turn], number: int) -> Turn:
        speaker = list(SIDES)[number % len(SIDES)]
        messages = self._prompt.render(motion=motion, side=SIDES[speaker], turns=before)
        answer = await task.session.ask("debater", messages)
        text = " ".join(answer.text.split())
        if not text:
            raise ModelFault("empty_reply", f"the {speaker.lower()} said nothing", answer.text)
        task.count("turns")
        return Turn(
            speaker=speaker,
            text=text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
        )
