"""Options for commands that can run on a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.numbers import WholeNumber

if TYPE_CHECKING:
    from convogen.engine.distributed.ray_connection import RayCluster
    from convogen.engine.workers import Workers
    from convogen.metrics import Processes

__all__ = ["Place", "cluster_options"]

Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Place:
    """What runs the work of a command: a cluster, or `processes` processes on this machine."""

    cluster: RayCluster | None = None
    processes: int | None = None

    def workers(self) -> Workers | None:
        """Return the cluster's workers for tasks with model calls, or None to use this process."""
        if self.cluster is None:
            return None
        from convogen.engine.distributed.ray_cluster import RayWorkers

        return RayWorkers(self.cluster)

    def measuring(self) -> Processes:
        """Return the processes that measure corpora: on the cluster, or on this machine."""
        from convogen.metrics import available_cores

        if self.cluster is None:
            return self.processes or available_cores()
        from convogen.engine.distributed.ray_spread import RaySpread

        return RaySpread(self.cluster)


def cluster_options(what: str, *, processes: bool = False) -> Callable[[Command], Command]:
    """Add the options --ray and --workers; the command receives them as `place`.

    Args:
        what: The verb phrase that begins the help text of --ray, such as "Measure".
        processes: Whether --workers without --ray sets the number of processes on this machine.
    """
    at = "on the cluster [default: the cluster's number of processors]"
    if processes:
        at = "on this machine [default: the number of cores] or, with --ray, on the cluster"

    def decorate(function: Command) -> Command:
        @click.option(
            "--ray",
            "address",
            metavar="local|auto|ADDRESS",
            help=f"{what} on a Ray cluster. `local` starts a cluster on this machine for this "
            "command; `auto` uses the cluster that is already running here. The results are the "
            "same as without a cluster.",
        )
        @click.option(
            "--workers", type=WholeNumber(min=1), metavar="N", help=f"Number of processes {at}."
        )
        @functools.wraps(function)
        def with_place(*args: Any, address: str | None, workers: int | None, **kwargs: Any) -> None:
            if address is None and workers is not None and not processes:
                raise click.UsageError("--workers requires --ray, such as --ray local")
            function(*args, place=_place(address, workers), **kwargs)

        return with_place

    return decorate


def _place(address: str | None, workers: int | None) -> Place:
    if address is None:
        return Place(processes=workers)
    if not address.strip():
        raise click.UsageError("--ray is empty; use local, auto or the address of a cluster")
    from convogen.engine.distributed.ray_connection import RayCluster

    cluster = RayCluster(address, workers)
    cluster.check()
    return Place(click.get_current_context().with_resource(cluster))
