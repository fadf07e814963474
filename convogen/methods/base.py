"""What a method is.

A `Method` is a frozen pydantic model whose fields are its parameters, as they stand in an
experiment file. At the start of a run it makes a `Play`, which turns tasks into outcomes. Tasks
are numbered from 0 in the order of the plan; the engine plays many at once and commits them in
that order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field

from convogen.errors import ModelFault
from convogen.inputs.keys import Keys
from convogen.models.base import Sampling
from convogen.models.traffic.session import Session
from convogen.prompts import Prompt, prompts_of
from convogen.records import PROPER_ENDS, Conversation, Experience, Failure, Turn, Usage
from convogen.storage.run_folder import Outcome, Run
from convogen.text.language_tags import language_tag

__all__ = ["Method", "Play", "RunInputs", "Task"]


def _tags(given: Any) -> str | tuple[str, ...] | None:
    """Return the tags in their standard form; a list of one is that one."""
    if given is None or isinstance(given, str):
        return given if given is None else language_tag(given)
    listed = cast("Sequence[Any]", given) if isinstance(given, list | tuple) else ()
    if not listed or not all(isinstance(tag, str) for tag in listed):
        raise ValueError("must be a language tag (BCP 47) such as de, or a list of them")
    tags = [language_tag(tag) for tag in listed]
    if twice := next((tag for nth, tag in enumerate(tags) if tag in tags[:nth]), None):
        raise ValueError(f"{twice} is there twice; each language of the list is drawn as often")
    return tags[0] if len(tags) == 1 else tuple(tags)


Languages = Annotated[
    str | tuple[str, ...] | None,
    BeforeValidator(_tags, json_schema_input_type=str | list[str] | None),
]


@dataclass(frozen=True, slots=True)
class Task:
    """One task: its place in the plan, its id and seed, its model calls, and a counter."""

    number: int
    id: str
    seed: int
    session: Session
    count: Callable[[str], None]

    @property
    def language(self) -> str | None:
        """The tag of the language that the task is to be in; None if none was asked for.

        Requests of the method's roles say so already (`Session.ask`), and the records of its
        outcome state it.
        """
        return self.session.language

    def conversation(
        self,
        method: str,
        experience: Experience,
        turns: list[Turn],
        ended: str,
        usage: Usage | None = None,
        context: Mapping[str, Any] | None = None,
        refused: Sequence[str] = (),
    ) -> Conversation:
        """Return the record of an experience as it was played.

        `context` goes over what the experience says itself; `refused` are the faults of the
        attempts at a turn that broke the conversation off.
        """
        return Conversation(
            id=f"c-{self.id}",
            task=self.number,
            method=method,
            experience=experience.id,
            participants=[persona.name for persona in experience.personas],
            context={
                "topic": experience.topic,
                "situation": experience.situation,
                "relations": experience.relations,
                **(context or {}),
            },
            turns=turns,
            ended=ended,
            refused=list(refused),
            usage=usage,
        )

    def failure(
        self,
        stage: str,
        fault: ModelFault,
        message: str | None = None,
        experience: Experience | None = None,
    ) -> Failure:
        """The row of a task that gave no conversation, with all it took up to now."""
        return Failure(
            id=f"f-{self.id}",
            task=self.number,
            experience=experience.id if experience else None,
            stage=stage,
            kind=fault.kind,
            message=str(fault) if message is None else message,
            evidence=fault.evidence[:4000],
            usage=self.session.usage,
        )


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a method's play gets at the start of a run.

    `seed` belongs to this run alone: it is made from the fingerprint. `experiment_seed` is the one
    the experiment names, for choices that runs with other parameters should share. `run` is its
    folder, read only: what is committed, also while the play goes on.
    """

    seed: int
    experiment_seed: int
    prompts: Mapping[str, Prompt]
    run: Run


class Play(ABC):
    """A method at work in one run."""

    def restore(self, committed: int) -> None:  # noqa: B027
        """Take up the first `committed` tasks of an earlier start of the run."""

    def committed(self, task: int) -> None:  # noqa: B027
        """A task's outcome is on disk: what is held of it may go."""

    @abstractmethod
    async def play(self, task: Task) -> Outcome:
        """Turn a task into a conversation or a failure.

        Only `RunStopped` and `UserError` may leave it: they stop the run, and the task is played
        again by the next one.
        """


class Method(Keys, ABC):
    """Base of all methods; unknown parameters are refused."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]]
    """The roles whose models a run needs, with how their replies are drawn by default."""

    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {}
    """What suits the embedded model in a role, over `roles`, under an experiment's own settings."""

    embedded_prompts: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """The prompts that the embedded model's adapter was trained on: by step the role that is asked
    and the file's name in `training/embedded/`."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file or folder. Not where it lies but what is in it changes the data:
    `sources` hashes that."""

    prompt_names: ClassVar[tuple[str, ...]]
    """The steps that have a prompt: `<method>/prompts/<step>.md`, see `prompts`."""

    counts_failed_tasks: ClassVar[bool] = False
    """True where n counts tasks: one that fails or is rejected is not made up for by another."""

    roles_in_english: ClassVar[frozenset[str]] = frozenset(("selector",))
    """Roles whose replies are no text of the data set: whatever `language` is asked for, they are
    asked as their prompts are written."""

    added_later: ClassVar[tuple[str, ...]] = ()
    """Fields that are no part of the fingerprint while they have their default: what was made
    before they were there is the same data."""

    has_experiences: ClassVar[bool] = True
    """Whether conversations grow out of an experience, which judges may need."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """The method whose prompt a step takes, where that is another."""

    broken: Literal["keep", "drop"] = Field(
        default="keep",
        description="a conversation that a fault breaks off after at least half of its planned "
        "turns: keep commits it with the fault in `ended`, drop makes it a failure",
    )

    language: Languages = Field(
        default=None,
        description="the language of all that is written, a BCP 47 tag such as de or pt-BR, or a "
        "list from which each task draws one; default: that of the prompts, English",
    )

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        """False where a value of one of `path_fields` names something else than a path."""
        return True

    def not_fingerprinted(self) -> set[str]:
        """The fields that are no part of the fingerprint: paths, and later ones not made use of."""
        fields, later = type(self).model_fields, ("language", *self.added_later)
        unused = {key for key in later if getattr(self, key) == fields[key].default}
        return unused | set(self.path_fields)

    def languages(self) -> tuple[str, ...]:
        """Return the tags of which each task draws one; none if nothing is to be said of it."""
        asked = self.language
        return (asked,) if isinstance(asked, str) else asked or ()

    def draw_language(self, seed: int) -> str | None:
        """Return the language of the task with a seed; None if none is asked for."""
        languages = self.languages()
        return Random(f"{seed}/language").choice(languages) if languages else None

    def sampling(self, role: str) -> Sampling:
        """A role's sampling under these parameters."""
        return self.roles[role]

    def notices(self) -> list[str]:
        """What a user should know of these parameters before the first call, a line each."""
        return []

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """The method's prompts, with the user's own files in place of shipped ones."""
        return prompts_of(type(self), "{name}/{step}", chosen)

    def sources(self) -> dict[str, str]:
        """What files the method reads, by name, with a hash of their content."""
        return {}

    def task_count(self) -> int | None:
        """How many tasks the plan has, at which a run ends; None where it goes on without end."""
        return None

    def most_turns(self) -> int | None:
        """How many turns a conversation has at most, openings too; None where nothing bounds it."""
        return None

    def refuse_broken(self, turns: Sequence[Turn], planned: int, ended: str) -> None:
        """Raise `ModelFault` if a conversation was broken off by a fault and is not to be kept.

        It is not if fewer than half of its `planned` turns stand, or with `broken: drop`.
        """
        if ended in PROPER_ENDS or (self.broken == "keep" and 2 * len(turns) >= planned):
            return
        last = f"{turns[-1].speaker}: {turns[-1].text}" if turns else ""
        raise ModelFault(ended, f"broken off after {len(turns)} of {planned} turns", last)

    @abstractmethod
    def start(self, inputs: RunInputs) -> Play:
        """Begin a run."""
