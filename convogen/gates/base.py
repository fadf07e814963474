"""The base classes of gates.

A `Gate` is a frozen pydantic model whose fields are its parameters. It checks one finished
conversation, with model calls if needed, and returns why the conversation is rejected, or None. An
`OrderedGate` also sees the conversations accepted before it, in the order of the plan.
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
from convogen.records import Conversation, Experience, Rejected
from convogen.storage.run_folder import Run

__all__ = ["Candidate", "Filter", "Gate", "OrderedGate", "Rejection"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished conversation with its experience, if it has one."""

    conversation: Conversation
    experience: Experience | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a conversation is rejected, in one line, and the value that decided it."""

    reason: str
    value: float | str | None = None


class Gate(Keys, ABC):
    """Base of all gates; unknown parameters are rejected."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]] = {}
    """The roles whose models the gate calls, with their default sampling."""

    rejections_are_failures: ClassVar[bool] = False
    """Whether the run stops if its first conversations are all rejected, as if they had failed,
    since the model is unlikely to improve."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file. Its content, not its path, determines the data; `sources` hashes the
    content."""

    prompt_names: ClassVar[tuple[str, ...]] = ()
    """The steps that have a prompt: `gates/prompts/<gate>-<step>.md`, see `prompts`."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """Maps a step to the gate whose prompt it uses, if that is another gate."""

    own_prompts: Mapping[str, str] = Field(
        default_factory=dict[str, str],
        exclude=True,
        description="your own prompt file per step, instead of the shipped one",
    )

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        """Return False if a value of one of `path_fields` is not a path."""
        return True

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The prompts by step; raises `SourceError` if a user's prompt file is invalid."""
        return prompts_of(type(self), "gates/{name}-{step}", self.own_prompts)

    def prompt_hashes(self) -> dict[str, Any]:
        """Return the entry of the prompts' hashes in the fingerprint; empty without prompts."""
        hashes = {step: prompt.hash for step, prompt in self.prompts.items()}
        return {"prompts": hashes} if hashes else {}

    def sources(self) -> dict[str, str]:
        """Return the content hashes of what the gate reads besides prompts (files, code), by name.

        Raises `UserError` if it cannot be read.
        """
        return {}

    @property
    def fingerprint_inputs(self) -> dict[str, Any]:
        """What determines which conversations are accepted."""
        parameters = self.model_dump(mode="json", exclude=set(self.path_fields))
        return {"gate": self.name, **parameters, **self.prompt_hashes(), **self.sources()}

    def never_passed(self, most_turns: int | None, *, experiences: bool) -> str | None:
        """Return why no conversation of a method can ever pass; None if one may.

        It is called before any conversation is generated. `most_turns` is the upper bound of turns,
        if there is one; `experiences` says whether the conversations have an experience.
        """
        return None

    def cannot_check(self, languages: Sequence[str]) -> str | None:
        """Return why conversations in the languages of an experiment cannot be checked, or None.

        `languages` are BCP 47 tags, none if the experiment asks for none.
        """
        return None

    @abstractmethod
    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Return why a conversation is rejected; None if it passes.

        A model's mistake is also a reason for rejection; only `RunStopped` and `UserError` may be
        raised.
        """


class Filter(ABC):
    """The state of an ordered gate in one run."""

    @abstractmethod
    def check(self, conversation: Conversation) -> Rejection | None:
        """Return why a conversation is rejected, given all conversations added; None if it
        passes."""

    @abstractmethod
    def add(self, conversation: Conversation) -> None:
        """Add an accepted conversation whose row is in the run folder."""

    def add_rejected(self, rejected: Rejected) -> None:  # noqa: B027
        """Add a conversation that this or another gate rejected and whose row is in the run folder.

        Accepted and rejected conversations are added in the order of the plan, also after a
        restart.
        """


class OrderedGate(Gate):
    """A gate that decides when a conversation is committed, after all other gates."""

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Return None, as the filter decides at commit."""
        return None

    @abstractmethod
    def start(self, run: Run) -> Filter:
        """Return a new filter for a run; `run` is the run's folder, read only. The conversations it
        already has are added afterwards."""
