"""A worker that runs tasks for the driver, independently of how messages are transported."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable

from convogen.engine.distributed.messages import (
    AdoptPart,
    Batch,
    CallEnded,
    CancelTask,
    Committed,
    Granted,
    Hello,
    Outbox,
    PartRows,
    Said,
    Setup,
    StartTask,
    Stop,
    Stopped,
    TaskEnded,
    ToDriver,
    ToldError,
    ToWorker,
)
from convogen.engine.distributed.worker_folder import remove_abandoned
from convogen.engine.distributed.worker_traffic import WorkerJournal, WorkerLog, WorkerTraffic
from convogen.engine.ordered_tasks import COLLECTOR
from convogen.engine.workers import OpenWork, Part
from convogen.errors import ClusterError
from convogen.models.base import ChatModel
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.tracing import configure
from convogen.version import __version__

__all__ = ["Worker"]

STOP_S = 0.5
"""Time limit in seconds for tasks to finish when a worker is stopped."""


class Worker:
    """A worker that runs tasks. `deliver` processes the driver's messages, and `collect` returns
    the worker's messages.

    `open_model` creates the models. By default, the work that the driver sends creates them.
    """

    def __init__(self, open_model: Callable[[ModelSpec], ChatModel] | None = None) -> None:
        self._open_model = open_model
        self._outbox: Outbox[ToDriver] = Outbox()
        self._tally = RunProgress(on_line=lambda line: self._outbox.put(Said(line)))
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._parts: dict[int, Part] = {}

    async def start(self, setup: Setup) -> Hello:
        """Open the work and its models. If this fails, the returned message contains the error."""
        node, pid = socket.gethostname(), os.getpid()
        try:
            self._open(setup)
        except Exception as error:  # noqa: BLE001 - the driver raises it
            return Hello(node, pid, ToldError.of(error))
        return Hello(node, pid)

    def own_process(self, log_level: int) -> None:
        """Set up a process that runs only this worker, with a log that is sent to the driver."""
        loop, log = asyncio.get_running_loop(), logging.getLogger("convogen")

        def send(message: ToDriver) -> None:
            loop.call_soon_threadsafe(self._outbox.put, message)

        log.addHandler(WorkerLog(log_level, send))
        log.setLevel(log_level)
        log.propagate = False
        remove_abandoned()
        configure()
        gc.set_threshold(*COLLECTOR)

    def _open(self, setup: Setup) -> None:
        if setup.version != __version__:
            raise ClusterError(
                f"has convogen {__version__}, but the run uses {setup.version}; install the same "
                "version on every node"
            )
        self._work: OpenWork = setup.work.open()
        opens = self._open_model or self._work.open_model
        self._traffic = WorkerTraffic(self._work.roles, self._tally, opens, self._outbox.put)

    async def deliver(self, messages: list[ToWorker]) -> None:
        """Process messages from the driver in order."""
        for message in messages:
            self._take(message)

    async def collect(self) -> Batch:
        """Wait for messages to the driver and return them."""
        messages = await self._outbox.take()
        counts, self._tally.counts = self._tally.counts, Counter[str]()
        return Batch(messages, counts)

    def _take(self, message: ToWorker) -> None:
        match message:
            case Granted() | CallEnded():
                self._traffic.tell(message)
            case StartTask():
                self._tasks[message.number] = asyncio.create_task(self._do(message))
            case Committed(part, task, line):
                self._parts[part].commit(task, line)
            case PartRows(part, lines):
                self._part(part).add_rows(lines)
            case AdoptPart(part, committed):
                self._part(part).adopt(committed)
            case CancelTask(number):
                if (task := self._tasks.get(number)) is not None:
                    task.cancel()
            case Stop():
                self._stopping = asyncio.create_task(self._stop())

    def _part(self, number: int) -> Part:
        if number not in self._parts:
            self._parts[number] = self._work.part()
        return self._parts[number]

    async def _do(self, message: StartTask) -> None:
        number = message.number
        journal = WorkerJournal(number, message.rows, self._outbox.put)
        try:
            result = await self._parts[message.part].do(
                number,
                message.given,
                traffic=self._traffic,
                journal=journal,
                count=(lambda what: None) if message.again else self._tally.add,
            )
            ended = TaskEnded(number, journal.asked, result)
        except asyncio.CancelledError:
            ended = TaskEnded(number, journal.asked)
        except Exception as error:  # noqa: BLE001 - the driver raises it
            ended = TaskEnded(number, journal.asked, error=ToldError.of(error))
        del self._tasks[number]
        self._outbox.put(ended)

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        await self._traffic.close()
        for part in self._parts.values():
            part.close()
        self._outbox.put(Stopped())
