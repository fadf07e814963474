"""GPTScore: the probability that a model assigns to a dialogue having a quality.

In Fu et al. (2024), the score is the probability of a text. For the qualities of a dialogue, as in
table 4 of the DiaSynth paper, the text is the answer Yes to a question. The value is the
probability of Yes at the first word of the reply. It is not divided by `mass`, the total
probability of Yes and No. If an endpoint returns no log-probabilities, or none for alternative
tokens, the value is the share of Yes among `samples` replies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import exp, isnan
from typing import ClassVar

from pydantic import Field

from convogen.errors import ModelFault
from convogen.judges.base import Judge, JudgeInput, excerpt, fault_reason
from convogen.judges.score_reading import token_at
from convogen.models.base import Message, ModelReply, Sampling
from convogen.models.traffic.session import Session, SessionReply
from convogen.records import Experience, Score
from convogen.text.transcript import transcript

__all__ = ["QUESTIONS", "GPTScore"]

TOP_LOGPROBS = 20
ANSWERS = ("Yes", "No")
CERTAIN = 0.99
"""If No is the only reported token and its probability is below this value, the probability of Yes
is unknown."""

QUESTIONS = {
    "coherence": "Do all turns of this conversation belong together?",
    "diversity": "Do the speakers say different things in different words?",
    "flexibility": "Do the speakers adapt to what the others bring up?",
    "understandability": "Do the speakers seem to understand each other?",
    "inquisitiveness": "Do the speakers ask about what the others say?",
    "consistency": "Is the conversation free of contradictions?",
    "informativeness": "Does one learn something from what the speakers say?",
    "likeability": "Are the speakers likeable?",
    "depth": "Does the conversation go into its topic in depth?",
    "error_recovery": "Do the speakers clear up misunderstandings where there are any?",
}
"""The columns of table 4 of the DiaSynth paper; the questions are convogen's."""

_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


class GPTScore(Judge):
    """Parameters of the GPTScore judge."""

    name: ClassVar[str] = "gptscore"
    prompt_names: ClassVar[tuple[str, ...]] = ("ask",)
    sampling: ClassVar[Sampling] = Sampling(temperature=1.0, max_tokens=4)

    questions: dict[str, str] = Field(
        default=QUESTIONS,
        min_length=1,
        description="for each aspect, the question to ask; Yes must be the favourable answer",
    )
    samples: int = Field(
        default=5,
        ge=1,
        le=100,
        description="number of replies requested per score if the endpoint returns no "
        "log-probabilities",
    )

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        return tuple(self.questions)

    @property
    def highest(self) -> float:
        return 1.0

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        empty = Score(conversation=judged.conversation.id, judge=self.name, aspect=aspect)
        asked = self.prompts["ask"].render(
            transcript=transcript(judged.conversation.turns), aspect=self.questions[aspect]
        )
        try:
            first = await self._ask(session, asked)
            if (found := _weigh(first.reply)) is not None:
                return empty.model_copy(update=found)
            if first.reply.logprobs and _answer(first.text) is None:
                return empty.model_copy(update={"reason": _no_answer(first.text)})
            answers = [first.text]
            while len(answers) < self.samples:
                answers.append((await self._ask(session, asked)).text)
        except ModelFault as fault:
            return empty.model_copy(update={"reason": fault_reason(fault)})
        return empty.model_copy(update=_average(answers))

    async def _ask(self, session: Session, asked: Sequence[Message]) -> SessionReply:
        return await session.ask(
            self.role, asked, top_logprobs=TOP_LOGPROBS, choices=ANSWERS, sampling=self.sampling
        )


def _answer(text: str) -> str | None:
    """Return the answer, Yes or No, with which a text begins, ignoring white space, punctuation and
    case; None if the text begins with another word."""
    word = _WORD.search(text)
    return word[0].capitalize() if word and word[0].capitalize() in ANSWERS else None


def _weigh(reply: ModelReply) -> dict[str, object] | None:
    """Return the probability of Yes at the first word of a reply; None if it is unknown."""
    word = _WORD.search(reply.text)
    token = token_at(reply, word.start()) if word else None
    if word is None or token is None or not token.top:
        return None
    reply_answer = _answer(word[0])
    # If the tokenizer split the answer into pieces, the first piece counts as the answer.
    in_pieces = reply_answer is not None and len(_letters(token.token)) < len(word[0])
    alternatives = dict([(token.token, token.logprob), *token.top])
    shares: dict[str, float] = dict.fromkeys(ANSWERS, 0.0)
    for text, logprob in alternatives.items():
        answer = _answer(text) or (_begun(text) if in_pieces else None)
        if answer and not isnan(logprob):
            shares[answer] += exp(min(logprob, 0.0))
    mass = sum(shares.values())
    alone = len(alternatives) == 1 and reply_answer == "No" and mass < CERTAIN
    if mass <= 0 or alone:
        return None
    return {
        "value": min(shares["Yes"], 1.0),
        "method": "logprobs",
        "distribution": {answer: share / mass for answer, share in shares.items()},
        "mass": min(mass, 1.0),
    }


def _letters(text: str) -> str:
    word = _WORD.search(text)
    return word[0] if word else ""


def _begun(text: str) -> str | None:
    """Return the answer (Yes or No) that begins with the letters of a token; None if neither
    does."""
    letters = _letters(text).capitalize()
    return next((one for one in ANSWERS if letters and one.startswith(letters)), None)


def _average(answers: Sequence[str]) -> dict[str, object]:
    counts = Counter(_answer(text) for text in answers)
    answered = counts["Yes"] + counts["No"]
    if not answered:
        return {"reason": _no_answer(answers[0])}
    shares = {answer: counts[answer] / answered for answer in ANSWERS}
    fields: dict[str, object] = {
        "value": shares["Yes"],
        "method": "samples",
        "distribution": shares,
    }
    if answered < len(answers):
        fields["reason"] = f"{len(answers) - answered} of {len(answers)} replies were no answer"
    return fields


def _no_answer(text: str) -> str:
    return f"neither Yes nor No in the reply: {excerpt(text)!r}"
