"""Folders in the user's cache."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import platformdirs

__all__ = ["cache_location", "writable_cache"]


def cache_location(name: str) -> Path:
    """Return the path of a folder in the user's cache, whether or not the folder exists."""
    return platformdirs.user_cache_path("convogen") / name


def writable_cache(name: str) -> Path:
    """Return a folder in the user's cache, creating it if necessary.

    If the cache cannot be written to, return a temporary folder for this process.
    """
    folder = cache_location(name)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix=f"convogen-{name}-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
