"""A connection to a Ray cluster; Ray is an optional extra."""

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
"""Used instead of an address: a cluster on this machine, for this process alone."""

OBJECT_STORE_BYTES = 100 << 20
"""Size of a local cluster's object store; small, as messages are small and short-lived."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
}
"""Variables that Ray reads on import, unless the user has set them. The first turns off usage
reports; the second matches all of Ray's log lines, so that none is printed among a command's
output."""

CONNECT_S = 10.0
LARGEST_PORT = 65_535


class RayCluster:
    """A Ray cluster, connected to on first use; as a context manager, it disconnects on exit.

    Args:
        address: `local` for a cluster on this machine that ends with this process, `auto` for the
            one that is running here, or the address of a head node (`10.0.0.1:6379`).
        n_workers: Number of worker processes; by default the number of the cluster's processors.
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

        Raises `ClusterError` if there is none.
        """
        if self._thread is not None:
            return
        # In a thread, since on the main thread Ray would install its own signal handlers. The
        # thread lives as long as the connection: when it ends, the kernel kills Ray's processes.
        thread = ThreadPoolExecutor(1, "ray")
        if thread.submit(self._connect).result():
            self._thread = thread
        else:
            thread.shutdown()
        take_signals_back()

    def close(self) -> None:
        """End the connection, and the cluster if this object started it."""
        if self._thread is not None:
            self._thread.submit(ray_module().shutdown).result()
            self._thread.shutdown()
            self._thread = None

    @property
    def n_workers(self) -> int:
        """Number of worker processes, at least one; available once connected."""
        return max(1, self._n_workers or int(ray_module().cluster_resources().get("CPU", 1)))

    def _connect(self) -> bool:
        """Connect; return False if this process was connected already."""
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
                f"--ray {self._address}: no Ray cluster could be reached: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
        return True


def take_signals_back() -> None:
    """Restore Python's handlers of SIGINT and SIGTERM, on which Ray would print a stack trace."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def _check_address(address: str) -> None:
    """Raise `ClusterError` if nothing listens at an address: Ray itself would try for minutes."""
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LARGEST_PORT or "/" in host:
        raise ClusterError(
            f"--ray {address}: must be local, auto, or HOST:PORT of a cluster's head, which "
            "`ray start --head` prints"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: nothing listens there ({error.strerror or error}); start a cluster "
            "with `ray start --head`, or use --ray local"
        ) from error


def ray_module() -> Any:
    """Import and return Ray; raises `ClusterError` if it is missing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if (ray := optional_module("ray")) is None:
        raise ClusterError("Ray is not installed: pip install 'convogen[ray]'")
    return ray
