"""Measurement of a corpus in one process, in several or on a cluster, with bounded memory.

The calling process reads the batches; worker processes convert and count them. At most two batches
per worker process are in progress. The result does not depend on the number of processes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from convogen.corpora import open_corpus
from convogen.errors import ConvogenError, SourceError, UserError
from convogen.metrics.rendering import Rendering
from convogen.metrics.tally import CorpusTally, tally_of
from convogen.records import Conversation
from convogen.storage.run_folder import Run

__all__ = [
    "Batches",
    "Measurable",
    "Processes",
    "Spread",
    "as_batches",
    "available_cores",
    "tally_corpus",
]

_SERIAL_BATCHES = 4
_HEAVY = ["convogen.metrics.tally", "lexicalrichness"]

T = TypeVar("T")
R = TypeVar("R")


class Spread(Protocol):
    """A callable that applies a function to items on any free core, outside this process."""

    def __call__(self, work: Iterator[T], do: Callable[[T], R]) -> Iterator[R]:
        """Yield the results in the order of the items."""
        ...


Processes = int | Spread
"""A number of processes on this machine, or a cluster
(`convogen.engine.distributed.ray_spread.RaySpread`)."""


class _Batch(Protocol):
    @property
    def start(self) -> int: ...

    def read(self) -> tuple[list[Conversation], Any]: ...


class Batches(Protocol):
    """The interface of a measurable corpus, such as `convogen.corpora.Corpus`."""

    def batches(self, size: int = ...) -> Iterator[_Batch]: ...

    def note(self, findings: Any) -> None: ...

    def finish(self) -> None: ...


Measurable = Batches | Run | str | Path | Iterable[Conversation]
"""The types that can be measured: a corpus, a run, the path to either, or conversations."""


@dataclass(frozen=True, slots=True)
class _GivenBatch:
    start: int
    conversations: list[Conversation]

    def read(self) -> tuple[list[Conversation], None]:
        return self.conversations, None


@dataclass(frozen=True, slots=True)
class _Given:
    """A corpus of conversations in memory."""

    conversations: list[Conversation]

    def batches(self, size: int = 256) -> Iterator[_GivenBatch]:
        for start in range(0, len(self.conversations), size):
            yield _GivenBatch(start, self.conversations[start : start + size])

    def note(self, findings: Any) -> None:
        del findings

    def finish(self) -> None:
        if not self.conversations:
            raise SourceError("measure: no conversations given; pass at least one conversation")


def as_batches(corpus: Measurable) -> Batches:
    """Return the argument to `measure` as a corpus.

    Raises:
        SourceError: A file or folder cannot be read.
        UserError: The argument has a type that cannot be measured.
    """
    if isinstance(corpus, str | Path | Run):
        return open_corpus(corpus.folder if isinstance(corpus, Run) else corpus)
    if hasattr(corpus, "batches"):
        return cast("Batches", corpus)
    given: list[Any] = [corpus]
    if isinstance(corpus, Iterable):
        given = list(cast("Iterable[Any]", corpus))
    odd = next((type(one).__name__ for one in given if not isinstance(one, Conversation)), None)
    if odd is not None:
        raise UserError(
            f"measure: cannot measure an object of type {odd}; pass a corpus, a run, the path to "
            "either, or conversations"
        )
    return _Given(given)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def tally_corpus(
    corpus: Batches,
    rendering: Rendering = "text",
    workers: Processes = 1,
    interaction: bool = False,
) -> CorpusTally:
    """Return the tally of a corpus; a strict corpus raises `SourceError` for a bad row.

    A corpus of at most about a thousand conversations is counted in this process regardless of
    `workers`, since starting processes would take longer.
    """
    count = partial(_measure, rendering=rendering, interaction=interaction)
    batches = corpus.batches(256)
    head = list(islice(batches, _SERIAL_BATCHES + 1))
    work = chain(head, batches)
    if len(head) <= _SERIAL_BATCHES:
        workers = 1
    if not isinstance(workers, int):
        results = workers(work, count)
    elif workers <= 1:
        results = map(count, work)
    else:
        results = _spread(work, count, workers)
    total = CorpusTally()
    for tally, found in results:
        corpus.note(found)
        total.merge(tally)
    corpus.finish()
    return total.settle()


def _ignore_interrupt() -> None:
    """Ignore Ctrl-C; the parent process handles it and stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _measure(batch: _Batch, *, rendering: Rendering, interaction: bool) -> tuple[CorpusTally, Any]:
    good, found = batch.read()
    return tally_of(good, rendering, batch.start, interaction), found


def _spread(
    work: Iterator[_Batch], count: Callable[[_Batch], tuple[CorpusTally, Any]], workers: int
) -> Iterator[tuple[CorpusTally, Any]]:
    """Yield results in order from processes that share the memory of imported modules."""
    forked = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forked else "spawn")
    if forked:
        context.set_forkserver_preload(_HEAVY)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt) as pool:
        waiting: deque[Future[tuple[CorpusTally, Any]]] = deque()
        try:
            for batch in work:
                waiting.append(pool.submit(count, batch))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ConvogenError(
                "a worker process was killed, probably because memory ran out; use fewer "
                "processes (--workers)"
            ) from None
        finally:
            for future in waiting:
                future.cancel()
