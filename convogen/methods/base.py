"""The base classes of methods.

A `Method` is a frozen pydantic model whose fields are the parameters written in an experiment file.
At the start of a run, it creates a `Play`, which turns tasks into outcomes. Tasks are numbered from
0 in the order of the plan. The engine plays many tasks concurrently and commits their outcomes in
plan order.
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
    """Return the language tags in standard form; a list with one tag becomes a single tag."""
    if given is None or isinstance(given, str):
        return given if given is None else language_tag(given)
    listed = cast("Sequence[Any]", given) if isinstance(given, list | tuple) else ()
    if not listed or not all(isinstance(tag, str) for tag in listed):
        raise ValueError(
            "must be a BCP 47 language tag such as de, or a non-empty list of such tags"
        )
    tags = [language_tag(tag) for tag in listed]
    if twice := next((tag for nth, tag in enumerate(tags) if tag in tags[:nth]), None):
        raise ValueError(
            f"{twice} is listed twice; list each language once, since all listed languages are "
            "equally likely to be drawn"
        )
    return tags[0] if len(tags) == 1 else tuple(tags)


Languages = Annotated[
    str | tuple[str, ...] | None,
    BeforeValidator(_tags, json_schema_input_type=str | list[str] | None),
]


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its number in the plan, its id and seed, the session for its model calls, and a
    callback that counts progress."""

    number: int
    id: str
    seed: int
    session: Session
    count: Callable[[str], None]

    @property
    def language(self) -> str | None:
        """The language tag of the task; None if no language is set.

        `Session.ask` already states the language in its requests, and the records of the task's
        outcome contain the language.
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
        """Return the conversation record for a played experience.

        Values in `context` replace the values taken from the experience. If no attempt at a turn
        was accepted and the conversation therefore ended early, `refused` lists the errors in these
        attempts.
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
        """Return a failure record for the task, including the task's model usage so far."""
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
    """The inputs that a method's play receives at the start of a run.

    `seed` is derived from the fingerprint, so it differs between experiments. `experiment_seed` is
    the `seed` of the experiment itself, for choices that runs with different parameters share.
    `run` gives read-only access to the run folder, which contains everything committed so far.
    """

    seed: int
    experiment_seed: int
    prompts: Mapping[str, Prompt]
    run: Run


class Play(ABC):
    """The state of a method in one run."""

    def restore(self, committed: int) -> None:  # noqa: B027
        """Restore the state that the run had after the first `committed` tasks."""

    def committed(self, task: int) -> None:  # noqa: B027
        """Release the state of a task whose outcome is now on disk."""

    @abstractmethod
    async def play(self, task: Task) -> Outcome:
        """Turn a task into a conversation or a failure.

        Implementations may raise only `RunStopped` and `UserError`. Both stop the run; the task is
        played again when the run is resumed.
        """


class Method(Keys, ABC):
    """The base class of all methods. Unknown parameters are rejected."""

    name: ClassVar[str]
    roles: ClassVar[dict[str, Sampling]]
    """The roles for which a run needs models, with their default sampling settings."""

    embedded_sampling: ClassVar[Mapping[str, Sampling]] = {}
    """For each role, the sampling settings for the embedded model. These settings override `roles`
    and are overridden by the experiment's settings."""

    embedded_prompts: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """The prompts on which the embedded model's adapter was trained. Each step is mapped to its
    role and to the name of a prompt file in `training/embedded/`."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that contain the path of a file or folder. The generated data depends on the content,
    not on the path, so `sources` hashes the content."""

    prompt_names: ClassVar[tuple[str, ...]]
    """The steps that have a prompt in `<method>/prompts/<step>.md`; see `prompts`."""

    counts_failed_tasks: ClassVar[bool] = False
    """Whether n counts tasks rather than conversations, so that failed and rejected tasks are not
    replaced."""

    roles_in_english: ClassVar[frozenset[str]] = frozenset(("selector",))
    """Roles whose replies are not part of the data set. They reply in the language of their
    prompts, regardless of `language`."""

    added_later: ClassVar[tuple[str, ...]] = ()
    """Fields that enter the fingerprint only if they differ from their defaults. The fingerprints
    of runs made before these fields were added therefore stay the same."""

    process: ClassVar[str] = ""
    """One or two sentences about how the method makes conversations, for the cards of exported data
    sets."""

    has_experiences: ClassVar[bool] = True
    """Whether conversations have an experience, which some judges need."""

    prompt_owners: ClassVar[dict[str, str]] = {}
    """Maps each step that uses another method's prompt to the name of that method."""

    broken: Literal["keep", "drop"] = Field(
        default="keep",
        description="what happens if a model error ends a conversation early, after at least half "
        "of its planned turns: `keep` (keep the conversation and record the error in `ended`) or "
        "`drop` (record a failure instead)",
    )

    language: Languages = Field(
        default=None,
        description="language of the generated text: a BCP 47 tag such as de or pt-BR, or a list "
        "of tags, one of which is drawn at random for each task; by default English, the language "
        "of the prompts",
    )

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        """Return whether the value of a field in `path_fields` is a path."""
        return True

    def not_fingerprinted(self) -> set[str]:
        """Return the fields excluded from the fingerprint: paths, and fields that were added later
        and have their default values."""
        fields, later = type(self).model_fields, ("language", *self.added_later)
        unused = {key for key in later if getattr(self, key) == fields[key].default}
        return unused | set(self.path_fields)

    def implied_gates(self) -> list[dict[str, Any]]:
        """Return the `gates` entries that apply if the experiment lists no gates."""
        return [{"gate": "language"}] if self.language else []

    def languages(self) -> tuple[str, ...]:
        """Return the tags from which the language of each task is drawn; empty if no language is
        set."""
        asked = self.language
        return (asked,) if isinstance(asked, str) else asked or ()

    def draw_language(self, seed: int) -> str | None:
        """Return the language drawn for a task with the given seed; None if no language is set."""
        languages = self.languages()
        return Random(f"{seed}/language").choice(languages) if languages else None

    def sampling(self, role: str) -> Sampling:
        """Return the default sampling settings for a role, given the method's parameters."""
        return self.roles[role]

    def notices(self) -> list[str]:
        """Return one-line notices about the method's parameters, to be shown before the first model
        call."""
        return []

    def prompts(self, chosen: Mapping[str, str]) -> dict[str, Prompt]:
        """Return the method's prompts, keyed by step; the files in `chosen` replace the shipped
        prompts."""
        return prompts_of(type(self), "{name}/{step}", chosen)

    def sources(self) -> dict[str, str]:
        """Return a content hash for each file that the method reads, keyed by name."""
        return {}

    def task_count(self) -> int | None:
        """Return the number of tasks in the plan; None if the plan is unbounded."""
        return None

    def most_turns(self) -> int | None:
        """Return the maximum number of turns per conversation, including openings; None if
        unbounded."""
        return None

    def refuse_broken(self, turns: Sequence[Turn], planned: int, ended: str) -> None:
        """Raise `ModelFault` if a conversation that ended because of a model error must not be
        kept.

        Such a conversation is kept only if it has at least half of its `planned` turns and `broken`
        is `keep`.
        """
        if ended in PROPER_ENDS or (self.broken == "keep" and 2 * len(turns) >= planned):
            return
        last = f"{turns[-1].speaker}: {turns[-1].text}" if turns else ""
        raise ModelFault(ended, f"ended early, after {len(turns)} of {planned} turns", last)

    def lineages(self) -> int | None:
        """Return the number of lineages in a run; None if tasks are independent.

        Tasks of the same lineage share state, so they are played in one process. Tasks of different
        lineages share nothing. By default, all tasks of a run form one lineage.
        """
        return 1

    def lineage(self, task: int) -> int:
        """Return the index of a task's lineage, from 0; unused if tasks are independent."""
        return 0

    @abstractmethod
    def start(self, inputs: RunInputs) -> Play:
        """Return the play for a new or resumed run."""
