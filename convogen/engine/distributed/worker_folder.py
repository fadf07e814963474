"""The folder in which a worker keeps committed experiences, and those of workers that were killed.

A worker holds a lock on its folder, so that whether it still lives does not depend on process ids,
which containers that share a temporary folder do not share.
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
    """A new folder in the temporary folder of this machine, which is locked until it is removed."""

    def __init__(self) -> None:
        # Locked before it has the name by which others find it.
        made = Path(tempfile.mkdtemp(prefix="convogen-new-"))
        self._lock = FileLock(made / _LOCK)
        self._lock.acquire()
        self.path = made.rename(made.with_name(f"{_PREFIX}{made.name.rpartition('-')[2]}"))

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def remove_abandoned() -> None:
    """Remove the folders of workers of this user that were killed on this machine."""
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
