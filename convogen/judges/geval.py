"""G-Eval: how well a conversation is grounded in its experience (ConvoGen, section IV-D).

Two requests are made for each conversation and aspect. The first asks why the conversation is
grounded in this aspect. The second, with the explanation in its context, asks for a score from 1 to
5. The final score is the sum of k times p(k) over the scale, where p(k) is the normalised
probability of the token k at the position of the score. (The paper calls the weights
log-probabilities; G-Eval, which the paper follows, uses probabilities.) There are nine aspects if
the personas are cards (table IV), and four if they are free text (table VI).

The first request has temperature 0. The second has temperature 1, since some endpoints apply the
temperature to the probabilities that they return. If there are no log-probabilities, the second
request is made `samples` times, and the score is the mean of the sampled scores; its `method` is
then `samples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from convogen.errors import ModelFault
from convogen.generation.example_experiences import card_text
from convogen.judges.base import Judge, JudgeInput, excerpt, fault_reason
from convogen.judges.score_reading import Scale, ScoreMatch, Weighed, find_score, mean_score, weigh
from convogen.models.base import Message, Sampling
from convogen.models.traffic.session import Session, SessionReply
from convogen.records import Experience, Score
from convogen.text.lengths import lacks_end, trimmed
from convogen.text.transcript import transcript

__all__ = ["GEval", "ScaleJudge", "experience_text"]

TOP_LOGPROBS = 20
"""Number of alternatives requested per token, the most that endpoints return."""

GENERATED = {
    "topic": "the topic of the experience",
    "situation": "the situation the people are in",
    "qualities": "the qualities of the people, their traits of character",
    "speech_style": "the people's styles of speech, each their own",
    "age": "the ages of the people",
    "lifestyle": "the people's lifestyles, their work and hobbies",
    "memory": "the people's memories, recent and long past",
    "relations": "the relations between the people",
    "overall": "the experience as a whole",
}
"""Q1 to Q9 of table IV: the aspects and their wording in the questions."""

SAMPLED = {
    "topic": GENERATED["topic"],
    "situation": GENERATED["situation"],
    "personas": "the personas of the people who talk",
    "overall": GENERATED["overall"],
}
"""Q1 to Q4 of table VI: the aspects and their wording in the questions."""


class ScaleJudge(Judge):
    """Parameters of a judge whose scores are weighted by the probabilities of their tokens."""

    sampling: ClassVar[Sampling] = Sampling(max_tokens=400)

    scale: Scale = Field(default=(1, 5), description="lowest and highest score, both single digits")
    samples: int = Field(
        default=5,
        ge=1,
        le=100,
        description="number of replies requested per score if the endpoint returns no "
        "log-probabilities",
    )
    scoring: Sampling = Sampling(temperature=1.0, max_tokens=16)

    @field_validator("scale")
    @classmethod
    def _digits(cls, scale: Scale) -> Scale:
        if not 0 <= scale[0] < scale[1] <= 9:
            raise ValueError(f"must be two digits with the lower one first (found {scale})")
        return scale

    @property
    def highest(self) -> float:
        return float(self.scale[1])

    async def weighed_score(
        self, session: Session, asked: Sequence[Message], partial: Score
    ) -> Score:
        """Request the score once if there are log-probabilities, or else `samples` times.

        `partial` contains the fields of the score that are already known.
        """
        first = await self._ask_score(session, asked)
        match = find_score(first.text, self.scale)
        if first.reply.logprobs:
            weighed = weigh(first.reply, match, self.scale) if match else None
            if match is None:
                return partial.model_copy(update={"reason": self._no_score(first.text)})
            if weighed is not None:
                return _scored(partial, weighed, "logprobs")
        answers = [first]
        while len(answers) < self.samples:
            answers.append(await self._ask_score(session, asked))
        return self._average(answers, partial)

    def _average(self, answers: Sequence[SessionReply], partial: Score) -> Score:
        read = [find_score(answer.text, self.scale) for answer in answers]
        scores = [match.score for match in read if isinstance(match, ScoreMatch)]
        if not scores:
            return partial.model_copy(update={"reason": self._no_score(answers[0].text)})
        scored = _scored(partial, mean_score(scores, self.scale), "samples")
        if len(scores) == len(answers):
            return scored
        left_out = f"{len(answers) - len(scores)} of {len(answers)} replies named no score"
        return scored.model_copy(update={"reason": left_out})

    async def _ask_score(self, session: Session, asked: Sequence[Message]) -> SessionReply:
        low, high = self.scale
        return await session.ask(
            self.role,
            asked,
            top_logprobs=TOP_LOGPROBS,
            choices=[str(score) for score in range(low, high + 1)],
            sampling=self.scoring,
        )

    def _no_score(self, text: str) -> str:
        low, high = self.scale
        return f"no single score from {low} to {high} in the reply: {excerpt(text)!r}"


class GEval(ScaleJudge):
    """Parameters of the G-Eval judge."""

    name: ClassVar[str] = "geval"
    prompt_names: ClassVar[tuple[str, ...]] = ("explain", "score")
    needs: ClassVar[Literal["experience", "reference"] | None] = "experience"

    questions_generated: dict[str, str] = Field(
        default=GENERATED,
        min_length=1,
        description="aspects that are scored if all personas are cards, each with its wording in "
        "the prompts",
    )
    questions_sampled: dict[str, str] = Field(
        default=SAMPLED,
        min_length=1,
        description="aspects that are scored if any persona is free text, each with its wording "
        "in the prompts",
    )
    explaining: Sampling = Sampling(temperature=0.0)

    def questions(self, experience: Experience | None) -> dict[str, str]:
        """Return the wording of each aspect, depending on the kind of personas in the
        experience."""
        cards = experience is not None and all(one.card for one in experience.personas)
        return self.questions_generated if cards else self.questions_sampled

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        return tuple(self.questions(experience))

    def all_aspects(self) -> tuple[str, ...]:
        return tuple({**self.questions_generated, **self.questions_sampled})

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        empty = Score(conversation=judged.conversation.id, judge=self.name, aspect=aspect)
        question = self.questions(judged.experience)[aspect]
        assert judged.experience is not None, "the judge requires an experience"
        asked = self.prompts["explain"].render(
            experience=experience_text(judged.experience),
            transcript=transcript(judged.conversation.turns),
            aspect=question,
        )
        try:
            explained = await session.ask(self.role, asked, sampling=self.explaining)
            explanation = explained.text
            if explained.cut_off and lacks_end(explanation):
                explanation = trimmed(explanation)
            if not explanation.strip():
                return empty.model_copy(update={"reason": "the judge gave no explanation"})
            low, high = self.scale
            asked = [
                *asked,
                Message("assistant", explanation),
                *self.prompts["score"].render(aspect=question, low=low, high=high),
            ]
            partial = empty.model_copy(update={"explanation": explanation})
            return await self.weighed_score(session, asked, partial)
        except ModelFault as fault:
            return empty.model_copy(update={"reason": fault_reason(fault)})


def _scored(partial: Score, weighed: Weighed, method: str) -> Score:
    mass = weighed.mass if method == "logprobs" else None
    update = {"value": weighed.value, "method": method, "distribution": weighed.shares}
    return partial.model_copy(update={**update, "mass": mass})


def experience_text(experience: Experience) -> str:
    """Return an experience as text for a judge."""
    people = "\n\n".join(f"{person.name}\n{card_text(person)}" for person in experience.personas)
    return (
        f"Topic: {experience.topic}\nSituation: {experience.situation}\n"
        f"Relations: {experience.relations}\n\nThe people:\n\n{people}"
    )
