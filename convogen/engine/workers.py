"""Interfaces for running the tasks of a run or a judge in this process or in cluster workers.

A `Job` describes the tasks. It stays in the process that the user started; workers receive its
`Work`, open it, and run tasks of it. There are two kinds: playing conversations (`engine/playing`)
and scoring them (`engine/scoring`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from convogen.models.base import ChatModel
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic

__all__ = ["Done", "Job", "OpenWork", "Part", "TaskDoer", "Work", "Workers"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """The result of a task, and the journal of its calls."""

    result: R
    journal: Journal


class TaskDoer(Protocol[R]):
    """Runs the tasks of a job, many concurrently."""

    async def do(self, number: int, given: Any = None) -> Done[R]:
        """Run a task and return its result; raises any error that stops the job.

        `given` is the task's input, unless the number alone determines it.
        """
        ...

    def committed(self, number: int, result: R) -> None:
        """Record that a task's rows are on disk."""
        ...


class Job(Protocol):
    """The tasks to run, as seen by the process that the user started.

    Attributes:
        name: The job's name on a cluster's dashboard.
        lineages: Number of lineages of tasks that share state; None if no tasks share any.
    """

    name: str
    traffic: Traffic
    tally: RunProgress
    lineages: int | None

    def work(self) -> Work:
        """Return the work that is sent to a worker."""
        ...

    def journal(self, number: int) -> Journal:
        """Return the journal of a task's calls."""
        ...

    def lineage(self, number: int) -> int:
        """Return the lineage of a task; only for jobs that have lineages."""
        ...

    def rows(self, lineages: frozenset[int]) -> Iterator[bytes]:
        """Yield the lines that the committed tasks of lineages left, in the order of the plan."""
        ...

    def row(self, result: Any) -> bytes | None:
        """Return the line that a task's result leaves for its lineage, or None."""
        ...

    @property
    def n_committed(self) -> int:
        """The number of tasks that are committed."""
        ...


class Work(Protocol):
    """The work of a job in a form that can be sent to a worker; contains no secrets."""

    def open(self) -> OpenWork:
        """Open the work in a worker; raises `UserError` if this node would give other results."""
        ...


class OpenWork(Protocol):
    """Work opened in a worker: its models, and its tasks, divided into parts."""

    roles: Mapping[str, Role]

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the model of a spec."""
        ...

    def part(self) -> Part:
        """Return a new part, for lineages of this worker or for all tasks without lineages."""
        ...


class Part:
    """A part of a worker's tasks; only `do` is required if they have no lineages."""

    def add_rows(self, lines: Iterable[bytes]) -> None:
        """Add rows of its lineages' committed tasks, in the order of the plan."""

    def adopt(self, committed: int) -> None:
        """Restore its lineages; tasks numbered below `committed` are committed."""

    def commit(self, task: int, line: bytes | None) -> None:
        """Record that a task is committed; `line` is its row for the lineage, or None."""

    async def do(
        self,
        number: int,
        given: Any,
        *,
        traffic: Traffic,
        journal: Journal,
        count: Callable[[str], None],
    ) -> Any:
        """Run a task and return its result; `count` counts its calls and retries."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove its files from disk."""


class Workers(Protocol):
    """Processes that run the tasks of a job instead of this one."""

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Raise `UserError` if the workers cannot use one of these models."""
        ...

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return this process's stand-in for a model that the workers call."""
        ...

    def start(self, job: Job) -> AbstractAsyncContextManager[TaskDoer[Any]]:
        """Start the workers; they stop at the end of the block."""
        ...
