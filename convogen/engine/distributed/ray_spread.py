"""Measurement of a corpus's batches in Ray tasks.

This process reads the rows as bytes and combines the results in the order of the rows, so only this
process needs access to the source. The tasks decode and measure the rows, which takes nearly all of
the processing time.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from convogen.engine.distributed.ray_connection import RayCluster, ray_module
from convogen.errors import ClusterError, WorkersDied
from convogen.version import installed_versions

__all__ = ["RaySpread", "do_item", "versions_here"]

PACKAGES = (
    "convogen",
    "fugashi",
    "lexicalrichness",
    "lingua-language-detector",
    "numpy",
    "pythainlp",
    "regex",
    "rjieba",
    "unidic-lite",
)
"""Packages whose versions affect the measures. Every node needs the same versions."""

RETRIES = 3
"""Maximum number of times that a batch is sent again after its process has died."""

T = TypeVar("T")
R = TypeVar("R")


class RaySpread:
    """A `convogen.metrics.Spread` that applies a function to items in tasks on a cluster.

    At most one item per worker is in progress, and at most two items per worker are in memory.
    """

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster

    def __call__(self, work: Iterator[T], do: Callable[[T], R]) -> Iterator[R]:
        """Yield the results in the order of the items.

        Raises:
            ClusterError: If a node has different versions of `PACKAGES`.
            WorkersDied: If the process that handled an item died in every attempt.
        """
        self._cluster.connect()
        ray, n_workers = ray_module(), self._cluster.n_workers
        options = {"num_cpus": 1, "max_retries": RETRIES, "name": "convogen: measure a batch"}
        remote = ray.remote(do_item).options(**options).remote
        shared = ray.put((versions_here(), do))
        held: deque[Any] = deque()
        running: list[Any] = []
        try:
            for item in work:
                if len(running) >= n_workers:
                    _, running = ray.wait(running, num_returns=1)
                held.append(remote(shared, item))
                running.append(held[-1])
                if len(held) >= 2 * n_workers:
                    yield _result(held.popleft())
            while held:
                yield _result(held.popleft())
        finally:
            for reference in held:
                with suppress(Exception):  # the cluster may have shut down
                    ray.cancel(reference)


def do_item(shared: tuple[dict[str, str], Callable[[T], R]], item: T) -> R:
    """Apply a function to an item in a process on the cluster, and return the result.

    Args:
        shared: The driver's package versions, and the function.
        item: Argument for the function.

    Raises:
        ClusterError: If this process has different package versions.
    """
    versions, do = shared
    if versions != (here := versions_here()):
        names = [name for name in {**versions, **here} if versions.get(name) != here.get(name)]
        other = ", ".join(
            f"{name} {here.get(name, 'none')} instead of {versions.get(name, 'none')}"
            for name in names
        )
        raise ClusterError(
            f"the node {socket.gethostname()} has {other}; install the same versions on every node"
        )
    return do(item)


def versions_here() -> dict[str, str]:
    """Return the versions of the packages that affect the measures."""
    return installed_versions(PACKAGES)


def _result(reference: Any) -> Any:
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray_module().get(reference)
    except RayTaskError as error:
        raise error.cause or error from None
    except RayError as error:
        reported = " ".join(str(error).split())[:300]
        raise WorkersDied(
            f"a batch was tried {1 + RETRIES} times, and the worker process died each time, "
            f"probably because it ran out of memory; lower --workers (Ray reported: {reported})"
        ) from None
