"""Worker slots, the tasks assigned to them, and the processes that fill them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from convogen.engine.distributed.driver_calls import WorkerCalls
from convogen.engine.distributed.messages import Batch, Hello, Outbox, Setup, ToWorker
from convogen.models.traffic.journal import Journal

__all__ = ["RemoteTask", "Slot", "Spawn", "WorkerGone", "WorkerProcess"]


class WorkerGone(Exception):
    """A worker's process is dead or could not be started in time."""


class WorkerProcess(Protocol):
    """A worker in its own process. Each method raises `WorkerGone` if the process is dead."""

    async def start(self, setup: Setup) -> Hello: ...

    async def deliver(self, messages: list[ToWorker]) -> None: ...

    async def collect(self) -> Batch: ...

    def kill(self) -> None: ...


Spawn = Callable[[int], Awaitable[WorkerProcess]]
"""A function that starts the worker with a given number, or raises `WorkerGone`."""


@dataclass(eq=False)
class RemoteTask:
    """A task in progress, with its lineage, its input, its in-flight calls and its result."""

    number: int
    lineage: int | None
    journal: Journal
    done: asyncio.Future[Any]
    given: Any = None
    calls: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


class Slot:
    """A slot for a worker. The slot's tasks and lineages outlive the process that runs them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.node = ""
        self.process: WorkerProcess | None = None
        self.lineages: set[int] = set()
        self.tasks: dict[int, RemoteTask] = {}
        self.parts: dict[int | None, int] = {}
        self.outbox: Outbox[ToWorker] = Outbox()
        self.calls: WorkerCalls | None = None
        self.stopped = asyncio.Event()

    @property
    def n_under_way(self) -> int:
        return sum(not task.done.done() for task in self.tasks.values())
