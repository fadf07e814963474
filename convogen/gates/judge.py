"""Rejects conversations whose mean score over the chosen aspects is too low or missing."""

from __future__ import annotations

from functools import cached_property
from statistics import mean
from typing import Any, ClassVar

from pydantic import Field, field_validator

from convogen.errors import ExperimentError
from convogen.gates.base import Candidate, Gate, Rejection
from convogen.judges.base import Judge, JudgeInput
from convogen.models.base import Sampling
from convogen.models.traffic.session import Session
from convogen.plugins import registry
from convogen.prompts import Prompt

__all__ = ["ROLE", "JudgeGate"]

ROLE = "gate_judge"
"""A separate role, since the gate's model calls are part of the run, unlike those made by `convogen
evaluate`."""


class JudgeGate(Gate):
    """Parameters of the `judge` gate."""

    name: ClassVar[str] = "judge"
    roles: ClassVar[dict[str, Sampling]] = {ROLE: Sampling(max_tokens=400)}

    judge: str = Field(
        default="geval", description="name of the judge that scores the conversations"
    )
    aspects: list[str] = Field(
        default=["overall"],
        min_length=1,
        description="aspects whose mean score is compared with min_score",
    )
    min_score: float = Field(description="minimum mean score for a conversation to be accepted")

    @field_validator("judge")
    @classmethod
    def _known(cls, name: str) -> str:
        if not registry.known("judges", name):
            raise ValueError(f"must be one of {', '.join(registry.names('judges'))}")
        judge: type[Judge] = registry.load("judges", name)
        if judge.needs == "reference":
            raise ValueError(
                f"{name} compares two dialogues, but a gate sees only one; choose a judge that "
                "scores single conversations"
            )
        needed = [key for key, field in judge.model_fields.items() if field.is_required()]
        if needed:
            raise ValueError(
                f"{name} requires {needed[0]}, which cannot be set for a gate; choose another judge"
            )
        return name

    @cached_property
    def judging(self) -> Judge:
        """The judge with its default parameters, which calls the model for the gate's role."""
        judge: Judge = registry.load("judges", self.judge)(role=ROLE, own_prompts=self.own_prompts)
        return judge

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The judge's prompts."""
        return self.judging.prompts

    def prompt_hashes(self) -> dict[str, Any]:
        return {f"{step} prompt": prompt.hash for step, prompt in self.prompts.items()}

    def never_passed(self, most_turns: int | None, *, experiences: bool) -> str | None:
        judge, known = self.judging, self.judging.all_aspects()
        if judge.needs == "experience" and not experiences:
            return (
                f"{self.judge} compares conversations with their experiences, but this method's "
                "conversations have no experiences; choose another judge"
            )
        if unknown := [aspect for aspect in self.aspects if aspect not in known]:
            return f"aspects: {unknown[0]!r} is not known; allowed: {', '.join(known)}"
        if judge.highest is not None and self.min_score > judge.highest:
            return (
                f"min_score: {self.min_score:g} exceeds {judge.highest:g}, the highest score from "
                f"{self.judge}"
            )
        return None

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        conversation, experience = candidate.conversation, candidate.experience
        if self.judging.needs == "experience" and experience is None:
            raise ExperimentError(
                f"gates: judge: {self.judge} compares conversations with their experiences, but "
                f"conversation {conversation.id} has no experience"
            )
        known = self.judging.aspects(experience)
        if unknown := [aspect for aspect in self.aspects if aspect not in known]:
            raise ExperimentError(
                f"gates: judge: aspects: {unknown[0]!r} is not known; allowed: {', '.join(known)}"
            )
        values: list[float] = []
        for aspect in self.aspects:
            judged = JudgeInput(conversation, experience)
            score = await self.judging.judge(session, judged, aspect)
            if score.value is None:
                return Rejection(f"no score for {aspect}: {score.reason}")
            values.append(score.value)
        if (value := mean(values)) >= self.min_score:
            return None
        about = ", ".join(self.aspects)
        return Rejection(
            f"score {value:.2f} for {about}, below {self.min_score:g}", round(value, 4)
        )
