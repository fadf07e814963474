"""The connection to a Ray cluster. Ray is an optional dependency."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from convogen.errors import ClusterError
from convogen.text.extras import optional_module

__all__ = ["LOCAL", "RayCluster", "ray_module", "take_signals_back"]

LOCAL = "local"
"""Address that requests a new cluster on this machine for this process alone."""

OBJECT_STORE_BYTES = 100 << 20
"""Size of a local cluster's object store in bytes. A small store suffices, because messages are
small and short-lived."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
}
"""Environment variables that are set before Ray is imported, unless the user has set them. The
first disables usage reports. The second matches all of Ray's log lines, so that no log line appears
in a command's output."""

CONNECT_S = 10.0
LARGEST_PORT = 65_535


class RayCluster:
    """A Ray cluster and the connection to it. The context manager disconnects on exit.

    Args:
        address: `local` for a new cluster on this machine that ends with this process, `auto` for
            the cluster that is running on this machine, or the address of a head node
            (`10.0.0.1:6379`).
        n_workers: Number of worker processes. Default: the number of processors in the cluster.
    """

    def __init__(self, address: str = LOCAL, n_workers: int | None = None) -> None:
        self._address = address
        self._n_workers = n_workers
        self._thread: ThreadPoolExecutor | None = None

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise `ClusterError` if Ray is missing."""
        ray_module()

    def connect(self) -> None:
        """Connect to the cluster, unless this process is connected already.

        Raises:
            ClusterError: If the cluster cannot be reached.
        """
        if self._thread is not None:
            return
        # On the main thread, Ray would install its own signal handlers. The thread must live as
        # long as the connection, because the kernel kills Ray's processes when the thread ends.
        thread = ThreadPoolExecutor(1, "ray")
        if thread.submit(self._connect).result():
            self._thread = thread
        else:
            thread.shutdown()
        take_signals_back()

    def close(self) -> None:
        """End the connection, and stop the cluster if this object started it."""
        if self._thread is not None:
            self._thread.submit(ray_module().shutdown).result()
            self._thread.shutdown()
            self._thread = None

    @property
    def n_workers(self) -> int:
        """Number of worker processes, at least one; available only while connected."""
        return max(1, self._n_workers or int(ray_module().cluster_resources().get("CPU", 1)))

    def _connect(self) -> bool:
        """Connect to the cluster; return False if this process was already connected."""
        ray = ray_module()
        if ray.is_initialized():
            return False
        _check_address(self._address)
        options: dict[str, Any] = {"address": self._address}
        log = logging.getLogger("ray")
        log.setLevel(max(log.level, logging.ERROR))
        if self._address == LOCAL:
            options |= {
                "num_cpus": self._n_workers or os.cpu_count(),
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_node_ip_address": "127.0.0.1",
            }
        try:
            ray.init(
                **options, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ClusterError(
                f"--ray {self._address}: cannot connect to a Ray cluster "
                f"({' '.join(str(error).split())[:300]})"
            ) from error
        return True


def take_signals_back() -> None:
    """Restore Python's handlers for SIGINT and SIGTERM, because Ray's handlers would print a stack
    trace."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def _check_address(address: str) -> None:
    """Raise `ClusterError` if nothing listens at an address. Ray itself would retry for minutes."""
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LARGEST_PORT or "/" in host:
        raise ClusterError(
            f"--ray {address}: must be local, auto, or the HOST:PORT of a head node, as printed by "
            "`ray start --head`"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: nothing is listening at this address ({error.strerror or error}); "
            "start a cluster with `ray start --head`, or use --ray local"
        ) from error


def ray_module() -> Any:
    """Import and return Ray; raise `ClusterError` if it is missing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if (ray := optional_module("ray")) is None:
        raise ClusterError("Ray is not installed; run: pip install 'convogen[ray]'")
    return ray
