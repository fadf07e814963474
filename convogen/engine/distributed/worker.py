"""A worker: plays tasks for the driver, independently of the transport."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    PlayTask,
    Said,
    Setup,
    Stop,
    Stopped,
    TaskEnded,
    ToDriver,
    ToldError,
    ToWorker,
)
from convogen.engine.distributed.worker_traffic import WorkerJournal, WorkerLog, WorkerTraffic
from convogen.engine.ordered_tasks import COLLECTOR
from convogen.engine.playing import play_one, start_play
from convogen.engine.task_setup import open_roles
from convogen.errors import ClusterError
from convogen.experiment.experiment import Experiment
from convogen.inputs.yaml12 import parse_yaml
from convogen.jsonl import append_line
from convogen.methods.base import Play
from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.tracing import configure
from convogen.storage.run_folder import Run, differences
from convogen.version import __version__

__all__ = ["Worker"]

STOP_S = 0.5
"""Seconds that tasks have to finish when a worker is stopped."""


@dataclass
class _Part:
    """Lineages of this worker: their play, and their committed experiences in a folder."""

    folder: Path
    play: Play | None = None
    committed: int = 0


class Worker:
    """Plays tasks; `deliver` takes the driver's messages, `collect` returns its own."""

    def __init__(self, open_model: Callable[[ModelSpec], ChatModel] = open_model) -> None:
        self._open_model = open_model
        self._outbox: Outbox[ToDriver] = Outbox()
        self._tally = RunProgress(on_line=lambda line: self._outbox.put(Said(line)))
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._parts: dict[int, _Part] = {}

    async def start(self, setup: Setup) -> Hello:
        """Open the experiment and its models, or report why that fails."""
        node, pid = socket.gethostname(), os.getpid()
        try:
            self._open(setup)
        except Exception as error:  # noqa: BLE001 - the driver raises it
            return Hello(node, pid, ToldError.of(error))
        return Hello(node, pid)

    def own_process(self, log_level: int) -> None:
        """Set up a dedicated process: its log goes to the driver."""
        loop, log = asyncio.get_running_loop(), logging.getLogger("convogen")

        def send(message: ToDriver) -> None:
            loop.call_soon_threadsafe(self._outbox.put, message)

        log.addHandler(WorkerLog(log_level, send))
        log.setLevel(log_level)
        log.propagate = False
        configure()
        gc.set_threshold(*COLLECTOR)

    def _open(self, setup: Setup) -> None:
        if setup.version != __version__:
            raise ClusterError(
                f"has convogen {__version__}, but the run uses {setup.version}; install the same "
                "version on every node"
            )
        where = "the experiment"
        self._experiment = Experiment.of(parse_yaml(setup.experiment, where), {}, where)
        if self._experiment.fingerprint != setup.fingerprint:
            changed = differences(setup.fingerprint_inputs, self._experiment.fingerprint_inputs)
            raise ClusterError(
                f"reads a different experiment ({changed}); the files it names must be identical "
                f"on every node"
            )
        self._begun = setup.begun
        roles = open_roles(self._experiment)
        self._traffic = WorkerTraffic(roles, self._tally, self._open_model, self._outbox.put)

    async def deliver(self, messages: list[ToWorker]) -> None:
        """Process messages from the driver, in order."""
        for message in messages:
            self._take(message)

    async def collect(self) -> Batch:
        """Return the next messages to the driver as soon as there are any."""
        messages = await self._outbox.take()
        counts, self._tally.counts = self._tally.counts, Counter[str]()
        return Batch(messages, counts)

    def _take(self, message: ToWorker) -> None:
        match message:
            case Granted() | CallEnded():
                self._traffic.tell(message)
            case PlayTask():
                self._tasks[message.number] = asyncio.create_task(self._play(message))
            case Committed():
                self._commit(message)
            case PartRows(part, lines):
                append_line(self._part(part).folder / "experiences.jsonl", b"".join(lines))
            case AdoptPart():
                self._adopt(message)
            case CancelTask(number):
                if (task := self._tasks.get(number)) is not None:
                    task.cancel()
            case Stop():
                self._stopping = asyncio.create_task(self._stop())

    def _part(self, number: int) -> _Part:
        if number not in self._parts:
            folder = tempfile.mkdtemp(prefix="convogen-worker-")
            self._parts[number] = _Part(Path(folder))
        return self._parts[number]

    def _adopt(self, message: AdoptPart) -> None:
        """Restore the lineages of a part as a resumed run does; those of others stay untouched."""
        part = self._part(message.part)
        part.committed = message.committed
        part.play = start_play(self._experiment, Run(part.folder), message.committed)

    def _commit(self, message: Committed) -> None:
        part = self._parts[message.part]
        if message.line is not None:
            append_line(part.folder / "experiences.jsonl", message.line)
        part.committed = message.task + 1
        assert part.play is not None
        part.play.committed(message.task)

    async def _play(self, message: PlayTask) -> None:
        part, number = self._parts[message.part], message.number
        journal = WorkerJournal(number, message.rows, self._outbox.put)
        assert part.play is not None
        try:
            outcome = await play_one(
                self._experiment,
                part.play,
                number,
                traffic=self._traffic,
                journal=journal,
                begun=self._begun,
                count=(lambda what: None) if message.again else self._tally.add,
            )
            ended = TaskEnded(number, journal.asked, outcome)
        except asyncio.CancelledError:
            ended = TaskEnded(number, journal.asked)
        except Exception as error:  # noqa: BLE001 - the driver raises it
            ended = TaskEnded(number, journal.asked, error=ToldError.of(error))
        del self._tasks[number]
        if number < part.committed:  # committed while it was played again
            part.play.committed(number)
        self._outbox.put(ended)

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        await self._traffic.close()
        for part in self._parts.values():
            shutil.rmtree(part.folder, ignore_errors=True)
        self._outbox.put(Stopped())
