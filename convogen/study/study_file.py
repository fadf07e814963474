"""The keys of `study.yaml`, as one pydantic model per kind of study.

Texts may be changed at any time. Keys that affect participants' items (`PLANNED`) must not change
after the first answer.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from convogen.inputs.keys import Keys
from convogen.methods.roleplay.method import Kind as Family
from convogen.methods.roleplay.people import Goal, goals_of
from convogen.methods.roleplay.personas import FEATURES, Feature, options_of
from convogen.models.base import Sampling
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Limits
from convogen.study.questions import Line, Option, Question, Scale

__all__ = [
    "KINDS",
    "Budget",
    "CollectDesign",
    "Design",
    "PairsDesign",
    "RatingsDesign",
]

Text = Annotated[str, Field(min_length=1, max_length=20_000)]

_CONSENT = """\
You are invited to take part in a study of conversations with chatbots.

What you do here is recorded under a participant number. No name, e-mail address or network \
address is kept. Taking part is voluntary: you can stop at any time by closing the page, continue \
later with the same code, or ask the researchers to delete everything recorded about you.

The answers may be published as research data. Please do not write anything that identifies you or \
somebody else."""


_OTHER_FIELDS = {"page", "comment"}
"""Fields of the rating form that are not scales."""


class Budget(Keys):
    """Limits on one participant's chatbot usage, over all goals."""

    messages: int | None = Field(
        default=200, ge=1, description="maximum number of messages from the participant"
    )
    tokens: int | None = Field(
        default=None, ge=1, description="maximum total number of prompt and completion tokens"
    )
    usd: float | None = Field(default=None, gt=0, description="maximum cost in US dollars")

    @property
    def limits(self) -> Limits:
        """The limits on cost and tokens."""
        return Limits(usd=self.usd, tokens=self.tokens)


class Design(Keys):
    """The keys common to all kinds of studies."""

    PLANNED: ClassVar[tuple[str, ...]] = ("kind", "participants", "seed")
    """Keys that affect participants' items."""

    title: Line
    consent: Text = Field(
        default=_CONSENT,
        description="text that participants agree to before they are asked anything",
    )
    agreement: Line = Field(
        default="I have read this, I am of age, and I take part of my own free will.",
        description="text next to the consent checkbox",
    )
    instruction: Text
    experience: Question | None = Field(
        default=Question(
            question="How much experience do you have with chatbots?",
            options=(
                "None",
                "I have tried one a few times",
                "I use one every now and then",
                "I use one most days",
                "I work on or research them",
            ),
        ),
        description="question asked before the first task, or null for no question",
    )
    thanks: Text = Field(
        default="Thank you. Your answers have been recorded, and you can close this page.",
        description="text on the last page",
    )
    participants: int = Field(
        default=20, ge=1, le=10_000, description="number of participants; each receives a code"
    )
    seed: int = Field(default=0, ge=0, description="random seed for all sampling")

    def planned(self) -> dict[str, Any]:
        """Return the values that must not change after the first answer."""
        return self.model_dump(mode="json", include=set(type(self).PLANNED))


class CollectDesign(Design):
    """A study in which people chat with a chatbot to reach goals (LLM Roleplay, section 3.1)."""

    PLANNED = (*Design.PLANNED, "features", "goals")

    kind: Literal["collect"] = "collect"
    title: Line = "Chat with the Chatbot"
    instruction: Text = Field(
        default="Below is your goal. What would you ask the chatbot to reach it? Follow-up "
        "questions are welcome, and so are questions about anything that you do not understand in "
        "its answers.",
        description="text above every goal",
    )
    features: dict[Feature, Annotated[tuple[Option, ...], Field(min_length=2, max_length=40)]] = (
        Field(
            default_factory=lambda: {name: options_of(name) for name in FEATURES},
            description="features in the persona form, with their options; by default, those in "
            "the roleplay method. The option “Prefer not to say” is added to every feature",
        )
    )
    goals: Annotated[tuple[Goal, ...], Field(min_length=1, max_length=100)] = Field(
        default_factory=lambda: tuple(goals_of(None)),
        description="goals that every participant pursues in this order, with one dialogue per "
        "goal; put code between lines that contain only ```",
    )
    model: ModelSpec = Field(
        default_factory=lambda: ModelSpec(name="embedded"),
        description="the chatbot's model, with the same keys as a model in an experiment, such as "
        "name, base_url and api_key_env",
    )
    sampling: Sampling | None = Field(
        default=None,
        description="sampling parameters for the chatbot; by default, those for the responder in "
        "the roleplay method",
    )
    system: str | None = Field(
        default=None,
        max_length=20_000,
        description="the chatbot's system message, or an empty string for none; by default, the "
        "responder's system message in the roleplay method",
    )
    responder_family: Family = Field(
        default="gpt",
        description="the chatbot's model family, which determines whether it accepts a system "
        "message",
    )
    budget: Budget = Field(
        default=Budget(), description="limits on each participant's total use of the chatbot"
    )
    reply_timeout_s: float = Field(
        default=120, gt=0, le=3600, description="time limit for a reply, in seconds"
    )
    most_chars: int = Field(
        default=8_000,
        ge=100,
        le=50_000,
        description="maximum length of a participant's message, in characters",
    )
    guard: Literal["words", "none"] = Field(
        default="words",
        description="handling of replies that contain an entry in the safety gate's word list: "
        "`words` withholds them and lets the participant request another reply, and `none` shows "
        "them",
    )

    @field_validator("features")
    @classmethod
    def _native_or_not(cls, value: dict[Feature, tuple[str, ...]]) -> Any:
        known = options_of("native_english")
        if unknown := set(value.get("native_english", ())) - set(known):
            raise ValueError(
                f"native_english: {min(unknown)!r} is not an option; allowed: {', '.join(known)}"
            )
        return {name: value[name] for name in FEATURES if name in value}

    @field_validator("goals")
    @classmethod
    def _named_once(cls, value: tuple[Goal, ...]) -> tuple[Goal, ...]:
        _refuse_twice("name", [goal.name for goal in value])
        return value


class PairsDesign(Design):
    """A study in which people distinguish simulated dialogues from natural ones (LLM Roleplay,
    section 3.4)."""

    PLANNED = (*Design.PLANNED, "pairs_each", "assignment", "attention_checks")

    kind: Literal["pairs"] = "pairs"
    title: Line = "Which dialogue is artificial?"
    instruction: Text = Field(
        default="You will see two dialogues side by side. In one of them, a person talks to a "
        "chatbot; in the other, a program plays the person. Say which of the two you take to be "
        "the artificial one, and which utterance gave it away.",
        description="text on the page before the first pair",
    )
    pairs_each: int = Field(
        default=40, ge=1, le=1000, description="number of pairs that each participant judges"
    )
    assignment: Literal["paper", "adaptive"] = Field(
        default="paper",
        description="how pairs are drawn before the study: `paper` gives all pairs the same "
        "probability, and `adaptive` prefers pairs for which a judge's verdict is uncertain",
    )
    attention_checks: int = Field(
        default=0,
        ge=0,
        le=20,
        description="number of attention checks per participant: extra pairs that state which "
        "answer to give and are excluded from results",
    )


class RatingsDesign(Design):
    """A study in which people rate single dialogues on scales."""

    PLANNED = (*Design.PLANNED, "dialogues_each", "scales", "attention_checks")

    kind: Literal["ratings"] = "ratings"
    title: Line = "Rate dialogues"
    instruction: Text = Field(
        default="You will read dialogues, one at a time. Please read each dialogue to the end "
        "before you rate it.",
        description="text on the page before the first dialogue",
    )
    dialogues_each: int = Field(
        default=20, ge=1, le=1000, description="number of dialogues that each participant rates"
    )
    scales: Annotated[tuple[Scale, ...], Field(min_length=1, max_length=20)] = Field(
        default=(
            Scale(
                id="naturalness",
                question="How natural does the dialogue sound?",
                points=5,
                labels=("not at all", "very"),
            ),
            Scale(
                id="coherence",
                question="How well does each utterance follow from what was said before?",
                points=5,
                labels=("not at all", "very well"),
            ),
        ),
        description="rating scales, each with an id, a question, a number of points, and labels "
        "for both ends or for every point",
    )
    comment: Line | None = Field(
        default="Is there anything you would like to add? (optional)",
        description="label of a free-text field, or null for no field",
    )
    attention_checks: int = Field(
        default=0,
        ge=0,
        le=20,
        description="number of attention checks per participant: extra dialogues that state how "
        "to rate them",
    )

    @field_validator("scales")
    @classmethod
    def _named_once(cls, value: tuple[Scale, ...]) -> tuple[Scale, ...]:
        _refuse_twice("id", [scale.id for scale in value])
        if taken := _OTHER_FIELDS & {scale.id for scale in value}:
            raise ValueError(
                f"id: {min(taken)!r} is the name of another form field; choose a different id"
            )
        return value


KINDS: dict[str, type[CollectDesign | PairsDesign | RatingsDesign]] = {
    "collect": CollectDesign,
    "pairs": PairsDesign,
    "ratings": RatingsDesign,
}


def _refuse_twice(kind: str, names: list[str]) -> None:
    if twice := next((name for name, times in Counter(names).items() if times > 1), None):
        raise ValueError(f"two entries have the same {kind} {twice!r:.80}; change one of them")
