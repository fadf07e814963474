"""A runner for numbered tasks, which run concurrently and return their results in order."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, Generic, Self, TypeVar

from convogen.errors import LoopRunning
from convogen.storage.remote.mirrors import flushed

__all__ = ["GRACE_S", "WINDOW", "OrderedTaskRunner", "run_until_complete"]

WINDOW = 4
"""Number of tasks in flight per permitted in-flight call. It limits memory use, but is large enough
that slow tasks do not hold up other tasks."""

STARTED_AT_ONCE = 64
"""Number of tasks to start before the event loop handles replies again. Each task prepares its
first model call, so starting thousands of tasks would delay in-flight calls by seconds."""

GRACE_S = 1.0
"""Time limit in seconds for tasks to finish when a run is interrupted."""

ANSWERS_S = 5.0
"""Time limit in seconds for in-flight calls after a task has ended the run, so that their replies
are kept."""

COLLECTOR = 10_000, 20, 100
"""Garbage-collection thresholds (gc.set_threshold) while tasks run. With hundreds of chats in
flight, a full collection pauses all chats for half a second and frees almost nothing."""

T = TypeVar("T")


class OrderedTaskRunner(Generic[T]):
    """A runner for tasks from number `first` on, as an asynchronous context manager. If a task or
    the block raises an exception, all tasks end.

    `drain` prevents further model calls and returns once no call is in flight (`Traffic.drain`).
    Without `drain`, the tasks themselves are awaited if one of them has raised an exception.
    """

    def __init__(
        self,
        play: Callable[[int], Coroutine[Any, Any, T]],
        first: int,
        drain: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._play = play
        self._next = first
        self._drain = drain
        self._under_way: dict[int, asyncio.Task[T]] = {}
        self._broken: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Cancel the tasks in flight, and wait up to `GRACE_S` until they end. After an exception,
        but not if the block was cancelled, first wait up to `ANSWERS_S` for the calls in flight."""
        tasks = list(self._under_way.values())
        try:
            if tasks and isinstance(error, Exception):
                await self._answers(tasks)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE_S)
            if self._broken is not None and self._broken.done():
                self._broken.exception()

    async def _answers(self, tasks: list[asyncio.Task[T]]) -> None:
        if self._drain is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWERS_S):
                    await self._drain()
        elif self._broken is not None and self._broken.done():
            await asyncio.wait(tasks, timeout=ANSWERS_S)

    async def next(self, wanted: int | Callable[[], int]) -> T:
        """Return the result of the next task, with up to `wanted` tasks (at least one) in flight.

        A callable `wanted` is called again whenever a task has ended. An exception in any task in
        flight is raised immediately, regardless of the order.
        """
        if self._broken is None:
            self._broken = asyncio.get_running_loop().create_future()
        while True:
            if self._start_some(wanted() if callable(wanted) else wanted):
                await asyncio.sleep(0)
                if not self._broken.done():
                    continue
            head = self._under_way[self._next]
            self._ended.clear()
            if not head.done() and not self._broken.done():
                await self._ended.wait()
            if self._broken.done():
                self._broken.result()
            if head.done():
                self._notice(head)
                self._next += 1
                return self._under_way.pop(self._next - 1).result()

    def _start_some(self, most: int) -> bool:
        """Start tasks until `most` tasks (at least one) are in flight; return True if fewer than
        `most` are in flight afterwards."""
        for _ in range(STARTED_AT_ONCE):
            if len(self._under_way) >= max(most, 1):
                return False
            number = self._next + len(self._under_way)
            self._under_way[number] = asyncio.create_task(self._play(number))
            self._under_way[number].add_done_callback(self._notice)
        return len(self._under_way) < most

    def _notice(self, task: asyncio.Task[T]) -> None:
        self._ended.set()
        if task.cancelled() or task.exception() is None:
            return
        assert self._broken is not None
        if not self._broken.done():
            self._broken.set_exception(task.exception() or AssertionError)


def run_until_complete(work: Coroutine[Any, Any, T], awaitable: str = "") -> T:
    """Run a coroutine in its own event loop. SIGTERM stops the coroutine in the same way as Ctrl-C.

    SIGTERM is not translated into SIGINT, because a background process may ignore SIGINT.

    Args:
        work: Coroutine to run.
        awaitable: Name of the function, if any, that a caller in an event loop can await instead.

    Raises:
        KeyboardInterrupt: If the coroutine was stopped.
        LoopRunning: If the caller runs in an event loop, for example in a notebook.
    """
    if _in_a_loop():
        work.close()
        advice = f"{awaitable}(…)" if awaitable else "asyncio.to_thread(…)"
        raise LoopRunning(
            f"an event loop is already running, as in a notebook; use `await {advice}` instead"
        )

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        except (NotImplementedError, RuntimeError, ValueError):
            return await flushing()  # not the main thread, or no such signals here
        try:
            return await flushing()
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    async def flushing() -> T:
        async with flushed():
            return await work

    with _rarely_collected(), asyncio.Runner() as runner:
        try:
            return runner.run(guarded())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _rarely_collected() -> Generator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*COLLECTOR)
    try:
        yield
    finally:
        gc.set_threshold(*before)
