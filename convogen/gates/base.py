"""What a gate is.

A `Gate` is a frozen pydantic model whose fields are its parameters. It looks at one finished
conversation, asks models where it has to, and says why the conversation is rejected, or nothing.
An `OrderedGate` looks at the accepted conversations before it as well, in the order of the plan.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from convogen.inputs.keys import Keys
from convogen.models.base import Sampling
from convogen.models.traffic.session import Session
from convogen.prompts import Prompt, prompts_of
from convogen.records import Conversation, Experience
from convogen.storage.run_folder import Run

__all__ = ["Candidate", "Filter", "Gate", "OrderedGate", "Rejection"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished conversation, and the experience it grew out of where there is one."""

    conversation: Conversation
    experience: Experience | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a conversation is rejected, in one line, and the value that decided it."""

    reason: str
    value: float | str | None = None


class Gate(Keys, ABC):
    """Base of all gates; unknown parameters are refused."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]] = {}
    """The roles whose models it asks, with how their replies are drawn by default."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file. Not where it lies but what is in it changes the data: `sources`
    hashes that."""

    prompt_names: ClassVar[tuple[str, ...]] = ()
    """The steps that have a prompt: `gates/prompts/<gate>-<step>.md`, see `prompts`."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """The gate whose prompt a step takes, where that is another."""

    own_prompts: Mapping[str, str] = Field(
        default_factory=dict[str, str],
        exclude=True,
        description="a file of your own in place of a step's prompt",
    )

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The prompts by step; raises `SourceError` where one's own file is wrong."""
        return prompts_of(type(self), "gates/{name}-{step}", self.own_prompts)

    def prompt_hashes(self) -> dict[str, Any]:
        """Return the prompts' hashes as they stand in `essence`; no entry without prompts."""
        hashes = {step: prompt.hash for step, prompt in self.prompts.items()}
        return {"prompts": hashes} if hashes else {}

    def sources(self) -> dict[str, str]:
        """What the gate reads besides prompts (files, code), by name, hashed by content.

        Raises `UserError` where it cannot be read.
        """
        return {}

    @property
    def fingerprint_inputs(self) -> dict[str, Any]:
        """What changes which conversations are accepted."""
        parameters = self.model_dump(mode="json", exclude=set(self.path_fields))
        return {"gate": self.name, **parameters, **self.prompt_hashes(), **self.sources()}

    def never_passed(self, most_turns: int | None, *, experiences: bool) -> str | None:
        """Why no conversation of a method can pass, before any is made; None where one may.

        `most_turns` is how many turns one has at most, if anything bounds it; `experiences` says
        whether they have one to be judged by.
        """
        return None

    def cannot_check(self, languages: Sequence[str]) -> str | None:
        """Return why conversations in the languages of an experiment cannot be checked, or None.

        `languages` are BCP 47 tags, none if the experiment asks for none.
        """
        return None

    @abstractmethod
    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Why a conversation is rejected; None where it passes.

        What a model gets wrong is a reason too: only `RunStopped` and `UserError` may leave it.
        """


class Filter(ABC):
    """An ordered gate at work in one run."""

    @abstractmethod
    def check(self, conversation: Conversation) -> Rejection | None:
        """Why a conversation is rejected, given all that were added; None where it passes."""

    @abstractmethod
    def add(self, conversation: Conversation) -> None:
        """A conversation was accepted and its row is in the run folder."""


class OrderedGate(Gate):
    """A gate that decides when a conversation is committed, after all other gates."""

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Nothing yet: the filter decides."""
        return None

    @abstractmethod
    def start(self, run: Run) -> Filter:
        """Begin a run; `run` is its folder, read only. What it holds is added afterwards."""
