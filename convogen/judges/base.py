"""The base class of judges.

A `Judge` is a frozen pydantic model whose fields are its parameters. It declares which aspects of a
conversation it scores, and scores one aspect at a time in a session of model calls.
`convogen.engine.judge_runner` takes care of scheduling, order and crash recovery.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from convogen.errors import ModelFault
from convogen.inputs.keys import Keys
from convogen.models.base import ChatModel, Sampling
from convogen.models.opening import open_model
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Traffic
from convogen.models.traffic.session import Session
from convogen.prompts import Prompt, prompts_of
from convogen.records import Conversation, Experience, Score, Turn

__all__ = ["ROLE", "Judge", "JudgeInput", "excerpt", "fault_reason"]

ROLE = "judge"
"""The role of a judge's model; the ledger also records this role."""

_EXCERPT_CHARS = 200


@dataclass(frozen=True, slots=True)
class JudgeInput:
    """A conversation with its experience, or with the dialogue to compare it with.

    `reference` contains the turns of the other dialogue on the same seed; it is empty if there is
    no other dialogue.
    """

    conversation: Conversation
    experience: Experience | None = None
    reference: tuple[Turn, ...] = ()


class Judge(Keys, ABC):
    """The base class of all judges. Unknown parameters are rejected."""

    name: ClassVar[str]
    prompt_names: ClassVar[tuple[str, ...]]
    """The steps that have a prompt in `judges/prompts/<judge>-<step>.md`; see `prompts`."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """Maps each step that uses another judge's prompt to the name of that judge."""

    sampling: ClassVar[Sampling]
    """The default sampling settings. They are overridden by the model's own settings and by the
    settings for a step."""

    needs: ClassVar[Literal["experience", "reference"] | None] = None
    """The field of `JudgeInput` that the judge requires besides the conversation, if any."""

    role: str = Field(default=ROLE, exclude=True, description="role whose model the judge calls")
    own_prompts: Mapping[str, str] = Field(
        default_factory=dict[str, str],
        description="your own prompt files, keyed by step, which replace the shipped prompts",
    )

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The judge's prompts, keyed by step.

        Raises `SourceError` if a user's prompt file is invalid.
        """
        return prompts_of(type(self), "judges/{name}-{step}", self.own_prompts)

    @cached_property
    def fingerprint_inputs(self) -> dict[str, Any]:
        """The values that determine the scores, except the model: parameters and prompt hashes."""
        parameters = self.model_dump(mode="json", exclude={"own_prompts"}, exclude_none=True)
        hashes = {step: prompt.hash for step, prompt in self.prompts.items()}
        return {"judge": self.name, **parameters, "prompts": hashes}

    def suited(self, spec: ModelSpec) -> Self:
        """Return this judge with values for the parameters that depend on the model."""
        del spec
        return self

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the model to call.

        Raises `ModelConfigError` if the model cannot be used.
        """
        return open_model(spec)

    async def check(self, traffic: Traffic) -> None:
        """Check the model before the first score is requested.

        Raises `ModelConfigError` if the model lacks a capability. By default, nothing is checked.
        """

    @abstractmethod
    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        """Return the aspects that are scored for a conversation with this experience, in order."""

    def all_aspects(self) -> tuple[str, ...]:
        """Return all aspects that this judge may score."""
        return self.aspects(None)

    @property
    def highest(self) -> float | None:
        """The highest possible score; None if unbounded."""
        return None

    @abstractmethod
    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        """Return the score for one aspect; after a model error, the score has a reason instead of a
        value.

        Implementations may raise only `RunStopped` and `UserError`. Both stop the judge; the score
        is requested again when judging is resumed.
        """


def excerpt(text: str) -> str:
    """Return the beginning of a reply on one line, to be quoted if it contains no score."""
    return " ".join(text.split())[:_EXCERPT_CHARS]


def fault_reason(fault: ModelFault) -> str:
    """Return the reason for a missing score on one line: the kind of fault and its evidence."""
    return f"{fault.kind}: {excerpt(fault.evidence or str(fault))}"
