"""The base classes of methods.

A `Method` is a frozen pydantic model whose fields are its parameters, as written in an experiment
file. At the start of a run it makes a `Play`, which turns tasks into outcomes. Tasks are numbered
from 0 in the order of the plan; the engine plays many concurrently and commits them in that order.
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
    """Return the tags in their standard form; a list of one tag becomes that tag."""
    if given is None or isinstance(given, str):
        return given if given is None else language_tag(given)
    listed = cast("Sequence[Any]", given) if isinstance(given, list | tuple) else ()
    if not listed or not all(isinstance(tag, str) for tag in listed):
        raise ValueError("must be a language tag (BCP 47) such as de, or a list of them")
    tags = [language_tag(tag) for tag in listed]
    if twice := next((tag for nth, tag in enumerate(tags) if tag in tags[:nth]), None):
        raise ValueError(
            f"{twice} is listed twice; every language in the list is drawn equally often"
        )
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
        """The language tag of the task; None if no language is set.

        `Session.ask` already states it in the requests of the method's roles, and the records of
        the task's outcome state it too.
        """
        return self.session.language

    def conversation(
        self,
        method: str,
        experience: Experience,
        *,
        turns: list[Turn],
        ended: str,
        usage: Usage | None = None,
        context: Mapping[str, Any] | None = None,
        refused: Sequence[str] = (),
    ) -> Conversation:
        """Return the record of a played experience.

        `context` takes precedence over the experience's own context. If a turn ended the
        conversation early, `refused` lists the errors of the attempts at that turn.
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
        """Return the row of a failed task, with its usage so far."""
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
    """The inputs of a method's play at the start of a run.

    `seed` is derived from the fingerprint and unique to this run. `experiment_seed` is the
    experiment's own, for choices shared by runs with other parameters. `run` is the run folder,
    read only, with everything committed so far.
    """

    seed: int
    experiment_seed: int
    prompts: Mapping[str, Prompt]
    run: Run


class Play(ABC):
    """The state of a method in one run."""

    def restore(self, committed: int) -> None:  # noqa: B027
        """Restore the state after the first `committed` tasks of an earlier start."""

    def committed(self, task: int) -> None:  # noqa: B027
        """Release a task's state, since its outcome is on disk."""

    @abstractmethod
    async def play(self, task: Task) -> Outcome:
        """Turn a task into a conversation or a failure.

        Only `RunStopped` and `UserError` may be raised: they stop the run, and the next start plays
        the task again.
        """


class Method(Keys, ABC):
    """Base of all methods; unknown parameters are rejected."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]]
    """The roles whose models a run needs, with their default sampling."""

    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {}
    """Sampling for the embedded model by role; overrides `roles`, and is overridden by the
    experiment's settings."""

    embedded_prompts: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """The prompts that the embedded model's adapter was trained on: maps each step to its role and
    to a file name in `training/embedded/`."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file or folder. Its content, not its path, determines the data; `sources`
    hashes the content."""

    prompt_names: ClassVar[tuple[str, ...]]
    """The steps that have a prompt: `<method>/prompts/<step>.md`, see `prompts`."""

    counts_failed_tasks: ClassVar[bool] = False
    """True if n counts tasks, so that a failed or rejected one is not replaced."""

    roles_in_english: ClassVar[frozenset[str]] = frozenset(("selector",))
    """Roles whose replies are not part of the data set: they use the language of their prompts,
    whatever `language` is set."""

    added_later: ClassVar[tuple[str, ...]] = ()
    """Fields that are in the fingerprint only if they differ from their default, so that runs made
    before they were added stay valid."""

    process: ClassVar[str] = ""
    """How conversations are made, in one or two sentences, for the cards of exports."""

    has_experiences: ClassVar[bool] = True
    """Whether conversations have an experience, which judges may need."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """Maps a step to the method whose prompt it uses, if that is another method."""

    broken: Literal["keep", "drop"] = Field(
        default="keep",
        description="what happens to a conversation that a fault cuts short after at least "
        "half of its planned turns: keep commits it with the fault in `ended`; drop records "
        "a failure",
    )

    language: Languages = Field(
        default=None,
        description="language of the generated text: a BCP 47 tag such as de or pt-BR, or a "
        "list from which each task draws one; default: English, the language of the prompts",
    )

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        """Return False if a value of one of `path_fields` is not a path."""
        return True

    def not_fingerprinted(self) -> set[str]:
        """Return the fields outside the fingerprint: paths, and later additions at their
        default."""
        fields, later = type(self).model_fields, ("language", *self.added_later)
        unused = {key for key in later if getattr(self, key) == fields[key].default}
        return unused | set(self.path_fields)

    def implied_gates(self) -> list[dict[str, Any]]:
        """Return the entries of `gates` for an experiment that does not list its own."""
        return [{"gate": "language"}] if self.language else []

    def languages(self) -> tuple[str, ...]:
        """Return the tags from which each task draws one; empty if no language is set."""
        asked = self.language
        return (asked,) if isinstance(asked, str) else asked or ()

    def draw_language(self, seed: int) -> str | None:
        """Return the language of the task with a seed; None if none is set."""
        languages = self.languages()
        return Random(f"{seed}/language").choice(languages) if languages else None

    def sampling(self, role: str) -> Sampling:
        """Return a role's sampling under these parameters."""
        return self.roles[role]

    def notices(self) -> list[str]:
        """Return what a user should know about these parameters before the first call, one line
        each."""
        return []

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """Return the method's prompts; the user's own files replace shipped ones."""
        return prompts_of(type(self), "{name}/{step}", chosen)

    def sources(self) -> dict[str, str]:
        """Return the content hashes of the files that the method reads, by name."""
        return {}

    def task_count(self) -> int | None:
        """Return the number of tasks in the plan, after which a run ends; None if it is
        unbounded."""
        return None

    def most_turns(self) -> int | None:
        """Return the largest number of turns of a conversation, openings included; None if
        unbounded."""
        return None

    def refuse_broken(self, turns: Sequence[Turn], planned: int, ended: str) -> None:
        """Raise `ModelFault` if a model's error ended a conversation early and it is not kept.

        It is not kept if it has fewer than half of its `planned` turns, or with `broken: drop`.
        """
        if ended in PROPER_ENDS or (self.broken == "keep" and 2 * len(turns) >= planned):
            return
        last = f"{turns[-1].speaker}: {turns[-1].text}" if turns else ""
        raise ModelFault(ended, f"broken off after {len(turns)} of {planned} turns", last)

    def lineages(self) -> int | None:
        """Return the number of lineages of a run's tasks; None if tasks are independent.

        Tasks of one lineage share state in their play, so they are played in one process; tasks of
        different lineages share nothing. By default, all tasks of a run form one lineage.
        """
        return 1

    def lineage(self, task: int) -> int:
        """Return the lineage of a task, from 0, if there are any."""
        return 0

    @abstractmethod
    def start(self, inputs: RunInputs) -> Play:
        """Return the play of a new or resumed run."""
