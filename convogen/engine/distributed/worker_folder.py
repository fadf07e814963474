"""The folder for a worker's committed experiences, and the removal of killed workers' folders.

A worker locks its folder while it is alive. A process id would not suffice, because containers may
share a temporary folder but not their process ids.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["WorkerFolder", "remove_abandoned"]

_PREFIX = "convogen-worker-"
_LOCK = ".lock"


class WorkerFolder:
    """A new folder in this machine's temporary folder, locked until it is removed."""

    def __init__(self) -> None:
        # Lock the folder before giving it the name by which `remove_abandoned` finds it.
        made = Path(tempfile.mkdtemp(prefix="convogen-new-"))
        self._lock = FileLock(made / _LOCK)
        self._lock.acquire()
        self.path = made.rename(made.with_name(f"{_PREFIX}{made.name.rpartition('-')[2]}"))

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def remove_abandoned() -> None:
    """Remove the folders that this user's killed workers left on this machine."""
    if not hasattr(os, "getuid"):
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue
