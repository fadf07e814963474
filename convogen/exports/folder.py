"""The folder of an export, written under a temporary name and then moved into place as a whole.

A folder's name never decides whether convogen may delete the folder. The export is written to a
folder that `mkdtemp` creates next to the target, and that contains a marker. A later export removes
such a folder only if the folder is marked for the same target and no process holds its lock. An
export is replaced only if all its files are listed in its `export.json` and are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError
from convogen.inputs.text_file import open_file
from convogen.jsonl import write_whole
from convogen.storage.task_log import lock
from convogen.version import __version__

__all__ = ["DESCRIPTION", "SingleFile", "seal", "staged"]

DESCRIPTION = "export.json"
"""The file that describes an export; a folder without this file is not replaced."""

_WORK = ".convogen-export-"
_MARK = "exports-to.json"
_UNHASHED = re.compile(r"state\.json|dataset_info\.json")
"""Files written by `datasets` that differ between exports of the same rows."""

_UNLISTED = re.compile(
    r"README\.md|dataset_dict\.json|data/[\w.]+\.(jsonl|csv|parquet)"
    r"|[\w.]+/(state\.json|dataset_info\.json|data-\d+-of-\d+\.arrow)"
)
"""The files that are allowed in an export whose `export.json` has no list of files."""


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A single-file export: its name in the new folder, and a function that recognises such
    files."""

    name: str
    ours: Callable[[Path], bool]


@contextmanager
def staged(out: Path, overwrite: bool, single: SingleFile | None = None) -> Generator[Path]:
    """Yield a new folder to write into, which is moved to `out` at the end of the block.

    If `single` is given, only this file is moved. If the block raises or the process is killed,
    `out` is unchanged. Raises `RunFolderError` if `out` is the current folder, is not empty, cannot
    be written, or is being written by another process. If `overwrite` is true, `out` may contain an
    unchanged export.
    """
    out = _target(out)
    try:
        with _workplace(out) as work:
            _recover(work, out)
            _admit(out, overwrite, single)
            new = work / "new"
            new.mkdir()
            yield new
            _admit(out, overwrite, single)
            if single is None:
                _put(new, out, work / "old")
            else:
                (new / single.name).replace(out)
    except OSError as error:
        where = error.filename or out
        raise RunFolderError(
            f"{where}: cannot be written: {error.strerror or error}; {out} is unchanged"
        ) from error


def seal(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `export.json`, with the entries in `description`, and with the hash of each file in the
    export under `files`."""
    files = {
        name: None if _UNHASHED.fullmatch(path.name) else _digest(path)
        for name, path in _files(folder)
    }
    text = json.dumps({**description, "files": files}, indent=1, ensure_ascii=False)
    write_whole(folder / DESCRIPTION, text + "\n")


def _target(out: Path) -> Path:
    """Return the absolute path of an export's folder, with links resolved."""
    try:
        found = out.resolve()
        around = Path.cwd().is_relative_to(found)
    except (OSError, ValueError, RuntimeError) as error:
        raise RunFolderError(f"{str(out)!r}: is not a valid folder path: {error}") from None
    if around:
        what = "the current folder" if found == Path.cwd() else "a parent of the current folder"
        raise RunFolderError(
            f"{str(out)!r}: is {what}; an export needs a separate folder, such as --out data"
        )
    return found


@contextmanager
def _workplace(out: Path) -> Generator[Path]:
    """Create a locked, marked folder next to `out` for this process; remove it afterwards.

    Parent folders created for `out` are removed if the export fails.
    """
    made = [folder for folder in out.parents if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=_WORK, dir=out.parent))
    held = None
    try:
        held = lock(work)
        mark = {"convogen": __version__, "exports_to": out.name}
        (work / _MARK).write_text(json.dumps(mark), "utf-8")
        yield work
    finally:
        if held is not None:
            held.release()
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _recover(work: Path, out: Path) -> None:
    """Remove the remains of a killed export to `out`.

    Raises `RunFolderError` if an export to `out` is in progress.
    """
    for left in sorted(out.parent.glob(f"{_WORK}*")):
        if left == work or _read(left / _MARK).get("exports_to") != out.name:
            continue
        try:
            held = lock(left)
        except RunFolderError:
            raise RunFolderError(
                f"{out}: another process is exporting to this folder; wait until it has "
                f"finished, or choose another folder"
            ) from None
        if (left / "old").exists() and not out.exists():
            (left / "old").rename(out)
        held.release()
        shutil.rmtree(left, ignore_errors=True)


def _admit(out: Path, overwrite: bool, single: SingleFile | None) -> None:
    """Raise `RunFolderError` if `out` may not be created or replaced."""
    if not out.exists():
        return
    if single is not None:
        _admit_file(out, overwrite, single)
        return
    if not out.is_dir():
        raise RunFolderError(f"{out}: is a file; specify a folder")
    if not any(out.iterdir()):
        return
    described = _read(out / DESCRIPTION)
    if "convogen" not in described:
        raise RunFolderError(f"{out}: contains files but is not an export; choose another folder")
    if not overwrite:
        raise RunFolderError(
            f"{out}: already contains an export; choose another folder, or replace the export with "
            f"--overwrite"
        )
    if foreign := list(_foreign(out, described)):
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise RunFolderError(
            f"{out}: contains files that the export did not write or that have changed: "
            f"{', '.join(foreign[:3])}{more}; move them away, or choose another folder"
        )


def _admit_file(out: Path, overwrite: bool, single: SingleFile) -> None:
    if out.is_dir():
        raise RunFolderError(f"{out}: is a folder; specify a file")
    if not single.ours(out):
        raise RunFolderError(
            f"{out}: is not an export by convogen, or has been changed since the export; name "
            f"another file"
        )
    if not overwrite:
        raise RunFolderError(
            f"{out}: is already an export; choose another file, or replace this file "
            "with --overwrite"
        )


def _foreign(folder: Path, described: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of files that the export did not write or that have changed since the
    export."""
    listed: Any = described.get("files")
    files = cast("dict[str, Any]", listed) if isinstance(listed, dict) else None
    for name, path in _files(folder):
        known = _UNLISTED.fullmatch(name) is not None if files is None else name in files
        if not known or path.is_symlink():
            yield name if name.isprintable() else repr(name)
        elif files is not None and files[name] is not None and files[name] != _digest(path):
            yield f"{name} (changed since the export)"


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the relative name and the path of each file in a folder except `export.json`,
    sorted."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name != DESCRIPTION:
            yield name, path


def _digest(path: Path) -> str:
    """Return the BLAKE2 hash of a file as 16 hexadecimal digits."""
    with open_file(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty object if the file contains none."""
    try:
        with open_file(path) as file:
            found: Any = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _put(new: Path, out: Path, old: Path) -> None:
    """Replace `out` with `new`; the former `out` is kept as `old` until `new` is in place."""
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
