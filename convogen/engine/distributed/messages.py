"""The messages between the driver and a worker.

Messages are sent in batches and keep their order in each direction. The row with a reply therefore
reaches the driver before the result that depends on the reply.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from convogen import errors
from convogen.engine.workers import Work
from convogen.errors import BudgetReached, ConvogenError, ModelFault, PluginError
from convogen.models.base import Request, Transient, Unreached
from convogen.plugins.discovery import blame
from convogen.records import Usage
from convogen.redaction import masked

__all__ = [
    "Abandoned",
    "AdoptPart",
    "Asked",
    "Attempted",
    "Batch",
    "CallEnded",
    "CancelTask",
    "Committed",
    "Granted",
    "Heard",
    "Hello",
    "Logged",
    "Outbox",
    "PartRows",
    "Row",
    "Said",
    "Setup",
    "StartTask",
    "Stop",
    "Stopped",
    "TaskEnded",
    "ToDriver",
    "ToWorker",
    "ToldError",
]

T = TypeVar("T")

LARGEST_BATCH = 256
"""Maximum number of messages in a batch."""

INTERVAL_S = 0.01
"""Minimum time between two batches, in seconds. Sending a batch costs the driver as much processor
time as admitting and journalling several calls. The first message after a pause is sent
immediately."""


@dataclass(frozen=True, slots=True)
class ToldError:
    """An error in serialisable form, with the name of its class, its text and its other fields.

    For an error that comes from neither convogen nor a plugin, `kind` is empty and `text` is the
    traceback.
    """

    kind: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, error: BaseException) -> ToldError:
        """Return the serialisable form of an error, with this process's secrets masked."""
        text, facts = masked(str(error)), dict[str, Any]()
        if isinstance(error, Transient):
            facts = {"retry_after_s": error.retry_after_s, "kind": error.kind}
            return cls("Transient", text, facts)
        if isinstance(error, Unreached):
            return cls("Unreached", text)
        if isinstance(error, ModelFault):
            facts = {"kind": error.kind, "evidence": masked(error.evidence), "billed": error.billed}
        elif isinstance(error, BudgetReached):
            facts = {"option": error.option}
        elif not isinstance(error, ConvogenError):
            if line := blame(error) if isinstance(error, Exception) else None:
                return cls(PluginError.__name__, masked(line))
            return cls("", masked("".join(traceback.format_exception(error))))
        kind = next(each.__name__ for each in type(error).mro() if each.__name__ in errors.__all__)
        return cls(kind, text, facts)

    def error(self) -> Exception:
        """Return the original error, or a `RuntimeError` with the traceback if convogen does not
        define the error's class."""
        if self.kind == "Transient":
            return Transient(self.text, self.facts["retry_after_s"], self.facts["kind"])
        if self.kind == "Unreached":
            return Unreached(self.text)
        if self.kind == "ModelFault":
            facts = self.facts
            return ModelFault(facts["kind"], self.text, facts["evidence"], billed=facts["billed"])
        if self.kind == "BudgetReached":
            return BudgetReached(self.text, self.facts["option"])
        if not self.kind:
            return RuntimeError(f"in a worker: {self.text}")
        return getattr(errors, self.kind)(self.text)


@dataclass(frozen=True, slots=True)
class Setup:
    """A worker's work and settings, without secrets. This message starts the worker."""

    worker: int
    version: str
    log_level: int
    work: Work


@dataclass(frozen=True, slots=True)
class Hello:
    """A report that a worker has started, or the error that prevents it from working."""

    node: str
    pid: int
    refusal: ToldError | None = None


@dataclass(frozen=True, slots=True)
class PartRows:
    """Rows of committed tasks in the lineages of a part, in the order of the plan.

    The rows are sent before `AdoptPart`.
    """

    part: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class AdoptPart:
    """The assignment of lineages to a worker as part number `part`.

    The first `committed` tasks of the job have been committed. If a job has no lineages, all its
    tasks form part 0.
    """

    part: int
    committed: int


@dataclass(frozen=True, slots=True)
class StartTask:
    """A task to run, with the rows of its journal.

    `again` means that the result is known and that the task is repeated only to restore the state
    of its lineage. `given` is the task's input, or None if the number alone determines the task.
    """

    number: int
    part: int
    rows: list[dict[str, Any]]
    again: bool
    given: Any = None


@dataclass(frozen=True, slots=True)
class Committed:
    """A report that a task in a part has been committed. `line` is the task's row, or None if the
    task has no row."""

    part: int
    task: int
    line: bytes | None


@dataclass(frozen=True, slots=True)
class CancelTask:
    """A request to cancel a task whose result is no longer needed."""

    number: int


@dataclass(frozen=True, slots=True)
class Granted:
    """Permission to send a call to an endpoint. `attempts` is the number of attempts so far,
    including this attempt."""

    call: int
    endpoint: int
    attempts: int
    probe: bool


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A report that a call gets no further attempts. `why` is the reason."""

    call: int
    why: ToldError


@dataclass(frozen=True, slots=True)
class Stop:
    """A request to stop all tasks, report the replies, and then send `Stopped`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that waits for its first attempt. `before` is the number of the endpoint that answered
    the task's previous call."""

    call: int
    task: int
    request: Request
    before: int | None


@dataclass(frozen=True, slots=True)
class Attempted:
    """The result of an attempt: its usage or its error."""

    call: int
    usage: Usage | None = None
    fault: ToldError | None = None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A call that was cancelled."""

    call: int


@dataclass(frozen=True, slots=True)
class Row:
    """A reply or a fault, as a row of the task's journal."""

    task: int
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """A role's reply, described by the facts that `Provenance` needs."""

    role: str
    model: str
    text: bool
    served: str
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The outcome of a task, and the keys of the task's calls in call order.

    A task with neither a result nor an error was cancelled.
    """

    number: int
    asked: list[str]
    result: Any = None
    error: ToldError | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the user."""

    line: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A record for the run's log."""

    logger: str
    level: int
    event: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The last message from a worker."""


ToWorker = PartRows | AdoptPart | StartTask | Committed | CancelTask | Granted | CallEnded | Stop
ToDriver = Asked | Attempted | Abandoned | Row | Heard | TaskEnded | Said | Logged | Stopped


@dataclass(frozen=True, slots=True)
class Batch:
    """A worker's messages, and its progress counts since the previous batch."""

    messages: list[ToDriver]
    counts: Counter[str]


class Outbox(Generic[T]):
    """A queue of messages to send. Messages added during a transfer form the next batch."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._any = asyncio.Event()
        self._taken_at = -INTERVAL_S

    def put(self, message: T) -> None:
        """Add a message."""
        self._waiting.append(message)
        self._any.set()

    async def take(self) -> list[T]:
        """Wait for a message and return the next batch."""
        clock = asyncio.get_running_loop().time
        await self._any.wait()
        if (wait_s := self._taken_at + INTERVAL_S - clock()) > 0:
            await asyncio.sleep(wait_s)
        self._taken_at = clock()
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_BATCH))]
        if not self._waiting:
            self._any.clear()
        return batch
