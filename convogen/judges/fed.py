"""FED: qualities of a dialogue, scored by how likely certain follow-ups are (Mehri and Eskenazi,
2020, section 4).

Each quality has a few negative follow-ups, which a listener would say if the dialogue lacked the
quality, and some qualities also have positive follow-ups. The score is the likelihood of the
positive follow-ups minus the likelihood of the negative follow-ups, both under a dialogue model.
The likelihood is the mean log-probability per token, averaged over the follow-ups.

With `over: follow_up`, the mean is computed over the tokens of the follow-up, given the dialogue.
With `over: dialogue`, it is computed over the dialogue and the follow-up together, as in the code
that the authors released and in table 3 of the DiaSynth paper. Six of the ten qualities have only
negative follow-ups. With `over: dialogue`, their score is therefore close to the cross-entropy of
the dialogue (near 0.95 in table 3), whereas the scores of the other four qualities are small
differences (near 0.01). Scores of the two kinds can be neither compared nor averaged, and only
`over: dialogue` is comparable with table 3.

The code of the DiaSynth authors also puts the speakers' names before the utterances, and the other
speaker's name before the follow-up, if the speakers are labelled with roles, as in DialogSum.
`speakers: true` does this for all names.

The qualities are those of the FED authors, but the follow-ups were written for convogen. Scores
from different follow-ups are not comparable. Use `follow_ups` to set the published follow-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from convogen.errors import ModelFault
from convogen.judges.base import ROLE, Judge, JudgeInput, fault_reason
from convogen.models.backends.likelihood import Likelihood, Likelihoods, read_likelihoods
from convogen.models.base import ChatModel, Message, Sampling
from convogen.models.opening import check_likelihoods, open_likelihoods
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Traffic
from convogen.models.traffic.session import Session
from convogen.records import Conversation, Experience, Score

__all__ = ["FOLLOW_UPS", "Fed", "FollowUps"]

LINES = "\n"
END_OF_TEXT = "<|endoftext|>"
"""The separator between utterances in DialoGPT's training data."""


class FollowUps(BaseModel):
    """The follow-ups that suggest that a dialogue has a quality, and those that suggest the
    opposite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = Field(min_length=1)


FOLLOW_UPS = {
    "coherent": FollowUps(negative=("None of this fits together.", "You jump around a lot.")),
    "error_recovery": FollowUps(negative=("You have lost me.", "Now I am even more confused.")),
    "consistent": FollowUps(
        negative=("Just now you said the opposite.", "That contradicts what you told me.")
    ),
    "diverse": FollowUps(negative=("You have told me that already.", "Not the same thing again.")),
    "depth": FollowUps(negative=("Can we stay with one thing?", "You never get to the point.")),
    "likeable": FollowUps(
        positive=("It was lovely to talk to you.", "You are good company."),
        negative=("You are rude.", "I would rather not talk to you."),
    ),
    "understand": FollowUps(negative=("That is not what I meant.", "You do not get me at all.")),
    "flexible": FollowUps(
        positive=("One can talk about anything with you.", "You are so easy to talk to."),
        negative=("Do you have no other topic?", "I have no wish to speak about that."),
    ),
    "informative": FollowUps(
        positive=("I have learned a lot from you.", "You know so much about this."),
        negative=("You know very little about this.", "That tells me nothing."),
    ),
    "inquisitive": FollowUps(
        positive=("You are full of questions.", "So many questions!"),
        negative=("You never ask me anything.", "You do not seem to care."),
    ),
}
"""The ten qualities of whole dialogues and their follow-ups. A quality has positive follow-ups only
if it has some in the paper."""


class Fed(Judge):
    """Parameters of the FED judge."""

    name: ClassVar[str] = "fed"
    prompt_names: ClassVar[tuple[str, ...]] = ()
    sampling: ClassVar[Sampling] = Sampling()

    follow_ups: dict[str, FollowUps] = Field(
        default=FOLLOW_UPS,
        min_length=1,
        description="for each quality, its positive and negative follow-ups",
    )
    over: Literal["follow_up", "dialogue"] = Field(
        default="follow_up",
        description="tokens over which the mean log-probability is computed: `follow_up` (only "
        "the tokens of the follow-up) or `dialogue` (the tokens of the dialogue and of the "
        "follow-up)",
    )
    separator: str | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="separator between utterances; by default, a newline or, for DialoGPT models, "
        "<|endoftext|>",
    )
    speakers: bool = Field(
        default=False,
        exclude_if=lambda kept: not kept,
        description="whether to put the speaker's name before each utterance, and the other "
        "speaker's name before the follow-up",
    )

    def suited(self, spec: ModelSpec) -> Self:
        """Return the judge with the separator that the model was trained with."""
        if self.separator is not None:
            return self
        known = END_OF_TEXT if "dialogpt" in spec.name.casefold() else LINES
        return self.model_copy(update={"separator": known})

    def open_model(self, spec: ModelSpec) -> ChatModel:
        return open_likelihoods(spec)

    async def check(self, traffic: Traffic) -> None:
        await check_likelihoods(traffic, ROLE)

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        return tuple(self.follow_ups)

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        empty = Score(conversation=judged.conversation.id, judge=self.name, aspect=aspect)
        follow_ups = self.follow_ups[aspect]
        before, label = self._dialogue(judged.conversation)
        texts = tuple(f"{label}{text}" for text in (*follow_ups.positive, *follow_ups.negative))
        try:
            asked = [Message("user", before)]
            answer = await session.ask(self.role, asked, continuations=texts)
            likelihoods = read_likelihoods(answer.text, len(texts))
        except ModelFault as fault:
            return empty.model_copy(update={"reason": fault_reason(fault)})
        means = [self._mean(likelihoods, one) for one in likelihoods.continuations]
        n = len(follow_ups.positive)
        value = _average(means[:n]) - _average(means[n:])
        return empty.model_copy(update={"value": value, "method": "logprobs"})

    def _mean(self, likelihoods: Likelihoods, continuation: Likelihood) -> float:
        return (
            continuation if self.over == "follow_up" else likelihoods.prefix + continuation
        ).per_token

    def _dialogue(self, conversation: Conversation) -> tuple[str, str]:
        """Return the utterances, each followed by the separator, and the label of the follow-up."""
        separator = self.separator or LINES
        lines = [" ".join(turn.text.split()) for turn in conversation.turns]
        label = ""
        if self.speakers:
            speakers = [turn.speaker for turn in conversation.turns]
            lines = [f"{who}: {line}" for who, line in zip(speakers, lines, strict=True)]
            others = [who for who in dict.fromkeys(speakers) if who != speakers[-1]]
            label = f"{others[0]}: " if others else ""
        return "".join(f"{line}{separator}" for line in lines), label


def _average(means: Sequence[float]) -> float:
    return sum(means) / len(means) if means else 0.0
