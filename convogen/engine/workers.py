"""Who does the tasks of a run or of a judge: this process, or the workers of a cluster.

What there is to do is a `Job`. The process that was started keeps it; workers are sent its `Work`,
open that, and do tasks of it. There are two kinds: playing conversations (`engine/playing`) and
scoring them (`engine/scoring`).
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
    """Does the tasks of a job, many at once."""

    async def do(self, number: int, given: Any = None) -> Done[R]:
        """Return what a task came to; raises what stops the job.

        `given` is what the task works on, if its number alone does not say.
        """
        ...

    def committed(self, number: int, result: R) -> None:
        """Note that a task's rows are on disk."""
        ...


class Job(Protocol):
    """What is to be done, as the process that was started knows it.

    Attributes:
        name: What it is called on a cluster's dashboard.
        lineages: Number of lineages of tasks that share state; None if no tasks share any.
    """

    name: str
    traffic: Traffic
    tally: RunProgress
    lineages: int | None

    def work(self) -> Work:
        """Return what a worker is sent to open."""
        ...

    def journal(self, number: int) -> Journal:
        """Return the journal of a task's calls."""
        ...

    def lineage(self, number: int) -> int:
        """Return the lineage of a task; of a job that has lineages."""
        ...

    def rows(self, lineages: frozenset[int]) -> Iterator[bytes]:
        """Yield what lineages have of their committed tasks, a line a task, in the order of the
        plan."""
        ...

    def row(self, result: Any) -> bytes | None:
        """Return the line that a lineage has of a committed task, if any."""
        ...

    @property
    def n_committed(self) -> int:
        """The number of tasks that are committed."""
        ...


class Work(Protocol):
    """What is to be done, in a form that can be sent; no secret is in it."""

    def open(self) -> OpenWork:
        """Open it in a worker; raises `UserError` if that would do something else there."""
        ...


class OpenWork(Protocol):
    """What a worker does: its models, and its tasks in parts."""

    roles: Mapping[str, Role]

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the model of a spec."""
        ...

    def part(self) -> Part:
        """Return a new part: lineages that are this worker's, or all tasks that share nothing."""
        ...


class Part:
    """Tasks of a worker; without lineages, all it takes is `do`."""

    def add_rows(self, lines: Iterable[bytes]) -> None:
        """Take what its lineages have of committed tasks, in the order of the plan."""

    def adopt(self, committed: int) -> None:
        """Take up its lineages, of which tasks below `committed` are committed."""

    def commit(self, task: int, line: bytes | None) -> None:
        """Note that a task is committed, and what its lineage has of it."""

    async def do(
        self,
        number: int,
        given: Any,
        *,
        traffic: Traffic,
        journal: Journal,
        count: Callable[[str], None],
    ) -> Any:
        """Return what a task came to; `count` counts what it makes."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove what it has on disk."""


class Workers(Protocol):
    """Processes that do the tasks of a job in place of this one."""

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Raise `UserError` if they could not use models, whatever those are."""
        ...

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return what stands here for a model that they call."""
        ...

    def start(self, job: Job) -> AbstractAsyncContextManager[TaskDoer[Any]]:
        """Start them; they end with the block."""
        ...
