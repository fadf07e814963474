"""The file of a study: `study.yaml` in its folder, one model per kind.

Texts may be changed at any time. What decides who is asked what (`PLANNED`) may not, once
somebody has answered.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from convogen.errors import SourceError
from convogen.inputs.keys import Keys
from convogen.inputs.validation import validated
from convogen.inputs.yaml12 import dump_yaml, read_mapping
from convogen.methods.roleplay.method import Kind as Family
from convogen.methods.roleplay.people import Goal, goals_of
from convogen.methods.roleplay.personas import FEATURES, Feature, options_of
from convogen.models.base import Sampling
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Limits

__all__ = [
    "DESIGN_FILE",
    "KINDS",
    "Budget",
    "CollectDesign",
    "Design",
    "PairsDesign",
    "Question",
    "RatingsDesign",
    "Scale",
    "commented",
    "load_design",
]

DESIGN_FILE = "study.yaml"

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Line = Annotated[str, Field(min_length=1, max_length=300)]
Option = Annotated[str, Field(min_length=1, max_length=120)]

_CONSENT = """\
You are invited to take part in a study of conversations with chatbots.

What you do here is recorded under the number of your code. No name, e-mail address or network \
address is kept. Taking part is voluntary: you can stop at any time by closing the page, go on \
later with the same code, or ask the researchers to delete everything that was recorded under it.

The answers may be published as research data. Please write nothing that identifies you or \
somebody else."""


class Question(Keys):
    """A question with options, of which one is chosen."""

    question: Line
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=20)]


class Scale(Keys):
    """A rating scale from 1 to `points`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="its name in the data")
    question: Line
    points: int = Field(ge=2, le=11)
    labels: tuple[Option, ...] = Field(
        default=(), description="of both ends, or of every point; none: the numbers alone"
    )

    @model_validator(mode="after")
    def _ends_or_all(self) -> Self:
        if len(self.labels) not in {0, 2, self.points}:
            raise ValueError(
                f"labels: must be 2, for the ends, or {self.points}, for every point "
                f"(found {len(self.labels)})"
            )
        return self

    def label(self, point: int) -> str:
        """Return the label of a point; empty if it has none."""
        if len(self.labels) == self.points:
            return self.labels[point - 1]
        ends = dict(zip((1, self.points), self.labels, strict=False))
        return ends.get(point, "")


class Budget(Keys):
    """What one participant may use of the chatbot, over all goals."""

    messages: int | None = Field(default=200, ge=1, description="messages of the participant")
    tokens: int | None = Field(default=None, ge=1, description="prompt and completion tokens")
    usd: float | None = Field(default=None, gt=0, description="US dollars")

    @property
    def limits(self) -> Limits:
        """The limits of money and tokens."""
        return Limits(usd=self.usd, tokens=self.tokens)


class Design(Keys):
    """What all kinds of studies have in common."""

    PLANNED: ClassVar[tuple[str, ...]] = ("kind", "participants", "seed")
    """Keys that decide who is asked what."""

    title: Line
    consent: Text = Field(
        default=_CONSENT, description="what participants agree to before anything is asked"
    )
    agreement: Line = Field(
        default="I have read this, I am of age, and I take part of my own free will.",
        description="the words beside the box that has to be ticked",
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
        description="asked before the first task; null: not asked",
    )
    thanks: Text = Field(
        default="Thank you. Everything you did has been recorded; you can close this page.",
        description="the last page",
    )
    participants: int = Field(
        default=20, ge=1, le=10_000, description="how many people take part; each has a code"
    )
    seed: int = Field(default=0, ge=0, description="of all that is drawn at random")

    def planned(self) -> dict[str, Any]:
        """Return the keys that must not change once somebody has answered."""
        return self.model_dump(mode="json", include=set(type(self).PLANNED))


class CollectDesign(Design):
    """People chat with a chatbot to reach goals (LLM Roleplay, section 3.1)."""

    PLANNED = (*Design.PLANNED, "features", "goals")

    kind: Literal["collect"] = "collect"
    title: Line = "Chat with the Chatbot"
    instruction: Text = Field(
        default="Below is your goal. What would you ask the chatbot to reach it? Follow-up "
        "questions are welcome, and so are questions about anything that you do not understand in "
        "its answers.",
        description="stands above every goal",
    )
    features: dict[Feature, Annotated[tuple[Option, ...], Field(min_length=2, max_length=40)]] = (
        Field(
            default_factory=lambda: {name: options_of(name) for name in FEATURES},
            description="the persona form: features and their options, as the method roleplay has "
            "them; everybody may also prefer not to say",
        )
    )
    goals: Annotated[tuple[Goal, ...], Field(min_length=1, max_length=100)] = Field(
        default_factory=lambda: tuple(goals_of(None)),
        description="what every participant pursues, one dialogue per goal, in this order; code "
        "stands between lines of ```",
    )
    model: ModelSpec = Field(
        default_factory=lambda: ModelSpec(name="embedded"),
        description="the chatbot; name, base_url, api_key_env and the other keys of a model in an "
        "experiment",
    )
    sampling: Sampling | None = Field(
        default=None, description="of the chatbot; default: the responder's of the method roleplay"
    )
    system: str | None = Field(
        default=None,
        max_length=20_000,
        description="the chatbot's system message; default: the responder's of the method "
        "roleplay, empty: none",
    )
    responder_family: Family = Field(
        default="gpt", description="whether the chatbot takes a system message"
    )
    budget: Budget = Field(
        default=Budget(), description="what each participant may use of the chatbot in all"
    )
    reply_timeout_s: float = Field(
        default=120, gt=0, le=3600, description="seconds after which a reply is given up"
    )
    most_chars: int = Field(
        default=8_000, ge=100, le=50_000, description="characters of a participant's message"
    )
    guard: Literal["words", "none"] = Field(
        default="words",
        description="words: a reply with an entry of the word list of the gate safety is not "
        "shown, and can be asked for again; none: everything is shown",
    )

    @field_validator("features")
    @classmethod
    def _native_or_not(cls, value: dict[Feature, tuple[str, ...]]) -> Any:
        known = options_of("native_english")
        if unknown := set(value.get("native_english", ())) - set(known):
            raise ValueError(
                f"native_english: {min(unknown)!r} is no option; allowed: {', '.join(known)}"
            )
        return {name: value[name] for name in FEATURES if name in value}

    @field_validator("goals")
    @classmethod
    def _named_once(cls, value: tuple[Goal, ...]) -> tuple[Goal, ...]:
        _refuse_twice("goal", [goal.name for goal in value])
        return value


class PairsDesign(Design):
    """People tell simulated dialogues from natural ones (LLM Roleplay, section 3.4)."""

    PLANNED = (*Design.PLANNED, "pairs_each", "assignment", "attention_checks")

    kind: Literal["pairs"] = "pairs"
    title: Line = "Which dialogue is artificial?"
    instruction: Text = Field(
        default="You will see two dialogues side by side. In one of them, a person talks to a "
        "chatbot; in the other, a program plays the person. Say which of the two you take to be "
        "the artificial one, and which utterance gave it away.",
        description="stands on the page before the first pair",
    )
    pairs_each: int = Field(
        default=40, ge=1, le=1000, description="pairs that each participant judges"
    )
    assignment: Literal["paper", "adaptive"] = Field(
        default="paper",
        description="paper: pairs are drawn before the study, balanced over conditions and "
        "sides; adaptive: what is asked next depends on the answers so far",
    )
    attention_checks: int = Field(
        default=0,
        ge=0,
        le=20,
        description="further pairs per participant that say themselves what to answer; they do "
        "not enter results",
    )


class RatingsDesign(Design):
    """People rate single dialogues on scales."""

    PLANNED = (*Design.PLANNED, "dialogues_each", "scales", "attention_checks")

    kind: Literal["ratings"] = "ratings"
    title: Line = "Rate dialogues"
    instruction: Text = Field(
        default="You will read dialogues, one at a time. Please read each of them to its end "
        "before you rate it.",
        description="stands on the page before the first dialogue",
    )
    dialogues_each: int = Field(
        default=20, ge=1, le=1000, description="dialogues that each participant rates"
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
        description="the questions: an id, the question, how many points, labels of the ends or of "
        "every point",
    )
    comment: Line | None = Field(
        default="Is there anything you would like to add? (optional)",
        description="the question above a field for free text; null: no such field",
    )
    attention_checks: int = Field(
        default=0,
        ge=0,
        le=20,
        description="further dialogues per participant that say themselves how to rate them",
    )

    @field_validator("scales")
    @classmethod
    def _named_once(cls, value: tuple[Scale, ...]) -> tuple[Scale, ...]:
        _refuse_twice("scale", [scale.id for scale in value])
        return value


KINDS: dict[str, type[CollectDesign | PairsDesign | RatingsDesign]] = {
    "collect": CollectDesign,
    "pairs": PairsDesign,
    "ratings": RatingsDesign,
}


def load_design(folder: Path) -> CollectDesign | PairsDesign | RatingsDesign:
    """Return the design of a study folder.

    Raises:
        SourceError: the file is missing, or a key in it is wrong; names the key and what is
            allowed.
    """
    path = folder / DESIGN_FILE
    if not path.is_file():
        raise SourceError(
            f"{folder}: no study here: it has no {DESIGN_FILE}; `convogen study new {folder} "
            "--kind …` makes one"
        )
    data = read_mapping(path)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise SourceError(f"{path}: kind: must be one of {', '.join(KINDS)} (found {kind!r:.60})")
    return validated(KINDS[kind], data, str(path), raising=SourceError)


def commented(design: Design) -> str:
    """Return a design as YAML in which a comment stands above every key."""
    data = design.model_dump(mode="json", exclude_none=True, exclude={"model"})
    if isinstance(design, CollectDesign):
        data["model"] = design.model.model_dump(mode="json", exclude_defaults=True)
    fields = type(design).model_fields
    order = ["kind", "title", *(name for name in fields if name not in {"kind", "title"})]
    parts = ["# A study with people. `convogen study serve` shows it.\n"]
    for name in order:
        said = fields[name].description
        comment = textwrap.fill(_sentence(said), 96, initial_indent="# ", subsequent_indent="# ")
        unset = name not in data and fields[name].get_default(call_default_factory=True) is None
        value = f"# {name}:\n" if unset else dump_yaml({name: data.get(name)}, blocks=True)
        parts.append(f"{comment}\n{value}" if said else value)
    return "\n".join(parts)


def _sentence(text: str | None) -> str:
    return text[0].upper() + text[1:] + "." * (not re.search(r"[.!?]\Z", text)) if text else ""


def _refuse_twice(kind: str, names: list[str]) -> None:
    if twice := next((name for name, times in Counter(names).items() if times > 1), None):
        raise ValueError(f"two entries have the same {kind}: {twice!r:.80}")
