"""The driver, which assigns tasks to workers and reassigns tasks when workers die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from convogen.engine.distributed.driver_calls import WorkerCalls
from convogen.engine.distributed.messages import (
    Abandoned,
    AdoptPart,
    Asked,
    Attempted,
    CancelTask,
    Committed,
    Heard,
    Logged,
    Outbox,
    PartRows,
    Row,
    Said,
    Setup,
    StartTask,
    Stop,
    Stopped,
    TaskEnded,
    ToDriver,
)
from convogen.engine.distributed.slots import RemoteTask, Slot, Spawn, WorkerGone
from convogen.engine.ordered_tasks import GRACE_S
from convogen.engine.workers import Done, Job
from convogen.errors import ClusterError, WorkersDied
from convogen.models.base import ModelReply
from convogen.models.traffic.router import Traffic
from convogen.records import Usage
from convogen.text.counting import counted
from convogen.version import __version__

__all__ = ["RemoteDoer"]

LOG = logging.getLogger("convogen.cluster")

DEATHS = 3
"""The run stops if the number of workers that have died since the last task ended exceeds this
number plus the number of slots."""

LINES = 64
"""Maximum number of rows from committed tasks in a message."""


class RemoteDoer:
    """A driver that runs the tasks of a job in at most `n_workers` workers.

    Lineages are distributed over the workers. A task without a lineage goes to the worker with the
    lowest load. When a worker dies, a new worker takes over its lineages and tasks. If the cluster
    has no room for a new worker, the remaining workers take over the lineages and tasks. The state
    of lineages and tasks is restored as in a resumed run, from the rows of committed tasks and from
    the journals of uncommitted tasks.
    """

    def __init__(self, job: Job, n_workers: int, spawn: Spawn) -> None:
        self._job = job
        self._spawn = spawn
        self._slots = [Slot(number) for number in range(n_workers)]
        self._tasks: dict[int, RemoteTask] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._deaths = 0
        self._failure: BaseException | None = None
        for lineage in range(job.lineages or 0):
            self._slots[lineage % n_workers].lineages.add(lineage)

    async def __aenter__(self) -> RemoteDoer:
        started = await asyncio.gather(*map(self._start, self._slots), return_exceptions=True)
        for result in started:
            if isinstance(result, BaseException) and not isinstance(result, WorkerGone):
                await self._end()
                raise result
        late = [slot for slot in self._slots if slot.process is None]
        if len(late) == len(self._slots):
            raise ClusterError(f"no worker could be started: {next(iter(started))}")
        if late:
            n = len(self._slots) - len(late)
            self._job.tally.say(
                f"the cluster has room for {n} of {len(self._slots)} workers; continuing with {n}"
            )
        for slot in late:
            self._close(slot)
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._end()

    async def do(self, number: int, given: Any = None) -> Done[Any]:
        """Run a task in a worker and return its result; raise the exception that the task raises,
        if any."""
        if self._failure is not None:
            raise self._failure
        journal = self._job.journal(number)
        lineage = None if self._job.lineages is None else self._job.lineage(number)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = self._tasks[number] = RemoteTask(number, lineage, journal, done, given)
        slot = self._slot_of(lineage)
        slot.tasks[number] = task
        self._send_task(slot, task)
        try:
            result = await done
            while task.calls:
                await asyncio.wait(task.calls)
            return Done(result, journal)
        except asyncio.CancelledError:
            owner = self._owner(task)
            if owner is not None:
                owner.outbox.put(CancelTask(number))
            raise

    def committed(self, number: int, result: Any) -> None:
        """Send a task's row to the worker with the task's lineage, and release the task."""
        task = self._tasks.pop(number)
        if task.lineage is None or (slot := self._owner(task)) is None:
            return
        del slot.tasks[number]
        if slot.process is not None:
            row = self._job.row(result)
            slot.outbox.put(Committed(slot.parts[task.lineage], number, row))

    def _owner(self, task: RemoteTask) -> Slot | None:
        return next((slot for slot in self._slots if task.number in slot.tasks), None)

    def _slot_of(self, lineage: int | None) -> Slot:
        if lineage is not None:
            return next(slot for slot in self._slots if lineage in slot.lineages)
        return min(self._slots, key=lambda slot: (slot.process is None, len(slot.tasks)))

    async def _start(self, slot: Slot) -> None:
        """Start the worker in a slot, and send it the slot's lineages and tasks."""
        process = await self._spawn(slot.number)
        level = logging.getLogger("convogen").getEffectiveLevel()
        setup = Setup(slot.number, __version__, level, self._job.work())
        hello = await process.start(setup)
        if hello.refusal is not None:
            process.kill()
            error = hello.refusal.error()
            raise type(error)(f"worker {slot.number} on {hello.node}: {error}")
        slot.node, slot.process, slot.outbox, slot.parts = hello.node, process, Outbox(), {}
        slot.calls = WorkerCalls(self._job.traffic, slot.outbox.put)
        LOG.info("worker", extra={"worker": slot.number, "node": hello.node, "pid": hello.pid})
        self._adopt(slot, slot.lineages)
        for _, task in sorted(slot.tasks.items()):
            self._send_task(slot, task)

    def _adopt(self, slot: Slot, lineages: Iterable[int]) -> None:
        """Assign lineages to a worker, and send it the rows of the lineages' committed tasks."""
        part, keys = len(set(slot.parts.values())), list(lineages)
        for lines in _chunks(self._job.rows(frozenset(keys)) if keys else ()):
            slot.outbox.put(PartRows(part, lines))
        committed = self._job.n_committed if keys else 0
        slot.outbox.put(AdoptPart(part, committed))
        slot.parts.update(dict.fromkeys(keys or [None], part))

    def _send_task(self, slot: Slot, task: RemoteTask) -> None:
        if slot.process is not None:
            part, again = slot.parts[task.lineage], task.done.done()
            rows = task.journal.answered()
            slot.outbox.put(StartTask(task.number, part, rows, again, task.given))

    async def _keep(self, slot: Slot) -> None:
        """Exchange messages with a slot's worker, and replace the worker when it dies."""
        try:
            while slot in self._slots:
                try:
                    await self._exchange(slot)
                    return
                except WorkerGone as gone:
                    await self._bury(slot, gone)
                try:
                    await self._start(slot)
                except WorkerGone as gone:
                    self._close(slot, gone)
        except Exception as error:  # noqa: BLE001 - raised in the tasks
            self._fail(error)

    async def _exchange(self, slot: Slot) -> None:
        """Exchange messages until the worker has stopped; raise `WorkerGone` if the worker
        dies."""
        process, outbox = slot.process, slot.outbox
        assert process is not None

        async def send() -> None:
            while True:
                await process.deliver(await outbox.take())

        async def receive() -> None:
            while not slot.stopped.is_set():
                batch = await process.collect()
                for what, n in batch.counts.items():
                    self._job.tally.add(what, n)
                for message in batch.messages:
                    self._take(slot, message)

        ways = [asyncio.create_task(send()), asyncio.create_task(receive())]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _take(self, slot: Slot, message: ToDriver) -> None:
        assert slot.calls is not None
        match message:
            case Asked():
                if (task := slot.tasks.get(message.task)) is not None:
                    call = slot.calls.ask(message, task.journal)
                    task.calls.add(call)
                    call.add_done_callback(task.calls.discard)
            case Attempted():
                slot.calls.attempted(message)
            case Abandoned(call):
                slot.calls.abandon(call)
            case Row(number, row):
                if (task := slot.tasks.get(number)) is not None:
                    task.journal.append(row)
            case Heard():
                _hear(self._job.traffic, message)
            case TaskEnded():
                self._ended(slot, message)
            case Said(line):
                self._job.tally.say(line)
            case Logged():
                facts = {**message.facts, "worker": slot.number}
                logging.getLogger(message.logger).log(message.level, message.event, extra=facts)
            case Stopped():
                slot.stopped.set()

    def _ended(self, slot: Slot, message: TaskEnded) -> None:
        task = slot.tasks.get(message.number)
        if task is None or task.done.done():
            return  # the task was cancelled, or repeated only for its lineage
        self._deaths = 0
        task.journal.asked = message.asked
        if task.lineage is None:
            del slot.tasks[message.number]
        if message.result is not None:
            task.done.set_result(message.result)
        elif message.error is not None:
            task.done.set_exception(message.error.error())
        else:
            task.done.cancel()

    async def _bury(self, slot: Slot, gone: WorkerGone) -> None:
        """Count a dead worker's calls as lost; raise `WorkersDied` if too many workers have
        died."""
        assert slot.calls is not None
        if slot.process is not None:
            slot.process.kill()
        slot.process = None
        await slot.calls.abandon_all()
        self._deaths += 1
        LOG.warning("worker died", extra={"worker": slot.number, "detail": str(gone)})
        if self._deaths > DEATHS + len(self._slots):
            raise WorkersDied(
                f"{self._deaths} workers died, and no task ended in the meantime; the last worker "
                f"ran on {slot.node} ({gone}); all replies are kept; run the same command to resume"
            )
        self._job.tally.say(
            f"worker {slot.number} on {slot.node} died; "
            f"another worker takes over {counted(slot.n_under_way, 'task')}"
        )
        if any(one.process is not None for one in self._slots):
            self._move(slot, [task for task in slot.tasks.values() if task.lineage is None])

    def _close(self, slot: Slot, gone: WorkerGone | None = None) -> None:
        """Remove a slot whose process cannot be started, and move its lineages and tasks to the
        remaining slots."""
        self._slots.remove(slot)
        if not self._slots:
            raise WorkersDied(
                f"no worker is left ({gone}); all replies are kept; run the same command to resume"
            )
        heirs = [one for one in self._slots if one.process is not None] or self._slots
        for nth, heir in enumerate(heirs):
            lineages = sorted(slot.lineages)[nth :: len(heirs)]
            heir.lineages.update(lineages)
            if heir.process is not None and lineages:
                self._adopt(heir, lineages)
        self._move(slot, list(slot.tasks.values()))

    def _move(self, slot: Slot, tasks: Iterable[RemoteTask]) -> None:
        """Move tasks from a slot without a process to other slots."""
        for task in sorted(tasks, key=lambda one: one.number):
            heir = self._slot_of(task.lineage)
            heir.tasks[task.number] = slot.tasks.pop(task.number)
            self._send_task(heir, task)

    def _fail(self, error: BaseException) -> None:
        """End all tasks with an error that no task caused."""
        self._failure = error
        for task in self._tasks.values():
            if not task.done.done():
                task.done.set_exception(error)

    async def _end(self) -> None:
        """Stop the workers, and keep the replies that they have received."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            slot.outbox.put(Stop())
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=GRACE_S)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for slot in running:
            if slot.calls is not None:
                await slot.calls.abandon_all()
            if slot.process is not None:
                slot.process.kill()


def _hear(traffic: Traffic, heard: Heard) -> None:
    """Register a role's reply and the model that wrote it."""
    text = "…" if heard.text else ""
    reply = ModelReply(text, Usage(), "stop", served=heard.served, left_out=heard.left_out)
    traffic.heard(heard.role, reply)
    traffic.provenance.heard(heard.role, heard.model, reply)


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == LINES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
