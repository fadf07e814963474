"""Interfaces for running the tasks of a run or a judge in this process or in cluster workers.

A `Job` describes the tasks and stays in the process that the user started. Workers receive the
job's `Work`, open it, and run the job's tasks. There are two kinds of jobs: playing conversations
(`engine/playing`) and scoring conversations (`engine/scoring`).
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
    """The result of a task and the journal of the task's model calls."""

    result: R
    journal: Journal


class TaskDoer(Protocol[R]):
    """An object that runs many of a job's tasks concurrently."""

    async def do(self, number: int, given: Any = None) -> Done[R]:
        """Run a task and return its result; raise an error only if the error stops the job.

        `given` is the task's input, or None if the number alone determines the task.
        """
        ...

    def committed(self, number: int, result: R) -> None:
        """Register that a task's rows are on disk."""
        ...


class Job(Protocol):
    """The tasks to run, as seen by the process that the user started.

    Attributes:
        name: Name of the job on a cluster's dashboard.
        lineages: Number of lineages (groups of tasks that share state); None if the job has no
            lineages.
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
        """Return the lineage of a task. This method is called only for jobs with lineages."""
        ...

    def rows(self, lineages: frozenset[int]) -> Iterator[bytes]:
        """Yield the rows of the lineages' committed tasks, in the order of the plan."""
        ...

    def row(self, result: Any) -> bytes | None:
        """Return a result's row for later tasks in the same lineage; None if the result has no
        row."""
        ...

    @property
    def n_committed(self) -> int:
        """The number of committed tasks."""
        ...


class Work(Protocol):
    """A job's work in a form that can be sent to a worker, without secrets."""

    def open(self) -> OpenWork:
        """Open the work in a worker; raise `UserError` if this node would produce different
        results."""
        ...


class OpenWork(Protocol):
    """The opened work in a worker: its models, and its tasks, which are divided into parts."""

    roles: Mapping[str, Role]

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the model that a spec describes."""
        ...

    def part(self) -> Part:
        """Return a new part, either for some lineages or, if the job has no lineages, for all
        tasks."""
        ...


class Part:
    """A part of a worker's tasks. If the tasks have no lineages, only `do` must be overridden."""

    def add_rows(self, lines: Iterable[bytes]) -> None:
        """Add rows of the lineages' committed tasks, in the order of the plan."""

    def adopt(self, committed: int) -> None:
        """Restore the state of the lineages. Tasks numbered below `committed` have been
        committed."""

    def commit(self, task: int, line: bytes | None) -> None:
        """Register that a task has been committed. `line` is the task's row for the lineage, or
        None if the task has no row."""

    async def do(
        self,
        number: int,
        given: Any,
        *,
        traffic: Traffic,
        journal: Journal,
        count: Callable[[str], None],
    ) -> Any:
        """Run a task and return its result. `count` counts events such as turns."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove the files of this part from disk."""


class Workers(Protocol):
    """Processes that run the tasks of a job instead of this process."""

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Raise `UserError` if the workers cannot use one of these models."""
        ...

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return a placeholder, for use in this process, for a model that the workers call."""
        ...

    def start(self, job: Job) -> AbstractAsyncContextManager[TaskDoer[Any]]:
        """Start workers that stop at the end of the block."""
        ...
