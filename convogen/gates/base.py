"""The base classes of gates.

A `Gate` is a frozen pydantic model whose fields are its parameters. It checks one finished
conversation, with model calls if necessary, and returns the reason for rejecting it, or None. An
`OrderedGate` also takes the previously accepted conversations into account, in the order of the
plan.
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
    """The reason for rejecting a conversation, on one line, and the value that led to the
    rejection."""

    reason: str
    value: float | str | None = None


class Gate(Keys, ABC):
    """The base class of all gates. Unknown parameters are rejected."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]] = {}
    """The roles whose models the gate calls, with their default sampling settings."""

    rejections_are_failures: ClassVar[bool] = False
    """Whether a run stops if this gate rejects all of the run's first conversations, just as a run
    stops if its first conversations all fail. In both cases, later conversations are unlikely to be
    better."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that contain the path of a file. The generated data depends on the content, not on the
    path, so `sources` hashes the content."""

    prompt_names: ClassVar[tuple[str, ...]] = ()
    """The steps that have a prompt in `gates/prompts/<gate>-<step>.md`; see `prompts`."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """Maps each step that uses another gate's prompt to the name of that gate."""

    own_prompts: Mapping[str, str] = Field(
        default_factory=dict[str, str],
        exclude=True,
        description="your own prompt files, keyed by step, which replace the shipped prompts",
    )

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        """Return whether the value of a field in `path_fields` is a path."""
        return True

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The gate's prompts, keyed by step.

        Raises `SourceError` if a user's prompt file is invalid.
        """
        return prompts_of(type(self), "gates/{name}-{step}", self.own_prompts)

    def prompt_hashes(self) -> dict[str, Any]:
        """Return the fingerprint entry that contains the hashes of the prompts; empty if there are
        no prompts."""
        hashes = {step: prompt.hash for step, prompt in self.prompts.items()}
        return {"prompts": hashes} if hashes else {}

    def sources(self) -> dict[str, str]:
        """Return a content hash for each file and piece of code that the gate reads, keyed by name.

        Prompts are not included. Raises `UserError` if a file or piece of code cannot be read.
        """
        return {}

    @property
    def fingerprint_inputs(self) -> dict[str, Any]:
        """The values that determine which conversations are accepted."""
        parameters = self.model_dump(mode="json", exclude=set(self.path_fields))
        return {"gate": self.name, **parameters, **self.prompt_hashes(), **self.sources()}

    def never_passed(self, most_turns: int | None, *, experiences: bool) -> str | None:
        """Return why no conversation from a method can ever pass the gate; None if some
        conversations may pass.

        The method is called before any conversation is generated. `most_turns` is the maximum
        number of turns; None if unbounded. `experiences` says whether conversations have an
        experience.
        """
        return None

    def cannot_check(self, languages: Sequence[str]) -> str | None:
        """Return why conversations in an experiment's languages cannot be checked; None if they can
        be.

        `languages` contains BCP 47 tags; it is empty if the experiment sets no language.
        """
        return None

    @abstractmethod
    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Return why a conversation is rejected; None if it passes.

        A model error is also a reason for rejection. Implementations may raise only `RunStopped`
        and `UserError`.
        """


class Filter(ABC):
    """The state of an ordered gate in one run."""

    @abstractmethod
    def check(self, conversation: Conversation) -> Rejection | None:
        """Return why a conversation is rejected, given the conversations added so far; None if it
        passes."""

    @abstractmethod
    def add(self, conversation: Conversation) -> None:
        """Add an accepted conversation whose row is in the run folder."""

    def add_rejected(self, rejected: Rejected) -> None:  # noqa: B027
        """Add a conversation that this or another gate rejected and whose row is in the run folder.

        Accepted and rejected conversations are added in the order of the plan, even in a resumed
        run.
        """


class OrderedGate(Gate):
    """A gate that checks a conversation at the time of its commit, after all other gates."""

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        """Return None, since the filter decides at the time of the commit."""
        return None

    @abstractmethod
    def start(self, run: Run) -> Filter:
        """Return a new filter for a run.

        `run` gives read-only access to the run folder. The conversations that are already in the
        folder are added to the filter afterwards.
        """
