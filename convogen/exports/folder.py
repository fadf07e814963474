"""The folder of an export: written beside under another name, then put in place whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.tasklog import lock

__all__ = ["DESCRIPTION", "staged"]

DESCRIPTION = "export.json"
"""Says what an export holds; a folder without it is not replaced."""


@contextmanager
def staged(out: Path, overwrite: bool) -> Generator[Path]:
    """A new folder to write into; at the end of the block it is put at `out`.

    Where the block raises, or the process is killed, `out` is as it was. Raises `RunFolderError`
    where `out` holds anything (or, with `overwrite`, anything but an export), cannot be written, or
    another process is exporting to it.
    """
    out = Path(out.absolute())
    new, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    try:
        new.mkdir(parents=True, exist_ok=True)
        held = lock(new)
        try:
            if old.exists() and not out.exists():
                old.rename(out)
            _admit(out, overwrite)
            _clear(new)
            yield new
            _put(new, out, old, held)
        except BaseException:
            held.release()
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        where = error.filename or out
        raise RunFolderError(
            f"{where}: cannot be written: {error.strerror or error}; {out} is as it was"
        ) from error


def _admit(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise RunFolderError(f"{out}: is a file; name a folder")
    if not any(out.iterdir()):
        return
    if not _is_export(out):
        raise RunFolderError(f"{out}: holds something that is no export; name another folder")
    if not overwrite:
        raise RunFolderError(
            f"{out}: holds an export already; name another folder, or --overwrite replaces it"
        )


def _is_export(folder: Path) -> bool:
    try:
        found: Any = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "convogen" in found


def _clear(folder: Path) -> None:
    """Remove what an export that was killed has left."""
    for path in folder.iterdir():
        if path.name == ".lock":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _put(new: Path, out: Path, old: Path, held: Any) -> None:
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    held.release()
    with suppress(FileNotFoundError):
        (new / ".lock").unlink()
    try:
        new.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
