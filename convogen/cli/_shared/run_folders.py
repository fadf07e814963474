"""Run folders given on the command line; URLs are replaced by the paths of local copies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.options import OutPath
from convogen.cli._shared.terminal import say

if TYPE_CHECKING:
    from convogen.storage.remote.mirror import Purpose

__all__ = ["RunOutPath", "RunPath", "SourcePath", "writable"]

_AT_URL = re.compile(r"(?P<label>[^/]*?=)?(?P<url>(?!hf:)[A-Za-z][A-Za-z0-9+.:-]*://.*)", re.DOTALL)
"""A pattern for a URL with an optional label, as some commands allow: `JUDGE=s3://bucket/run`."""


class SourcePath(click.Path):
    """A run folder or other data to read, as a string; for a URL, the path of its local copy."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the string with any URL replaced; raises `RunFolderError` if the URL cannot be
        read."""
        text = str(value)
        if "://" not in text or (match := _AT_URL.fullmatch(text)) is None:
            return text
        from convogen.storage.remote.mirrors import local_copy

        return f"{match['label'] or ''}{local_copy(match['url'])}"


class RunPath(SourcePath):
    """A run folder as `pathlib.Path`; for a URL, the path of its local copy."""

    def __init__(self, *, writes: bool = False) -> None:
        super().__init__()
        self._writes = writes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raises `RunFolderError` if a URL cannot be read."""
        return Path(writable(value) if self._writes else super().convert(value, param, ctx))


class RunOutPath(OutPath):
    """A run folder to write to: a path as `pathlib.Path`, or a URL as a string."""

    takes_urls = True


def writable(folder: str, purpose: Purpose = "scores", every_s: float | None = None) -> str:
    """Return the path of a run folder to write to; for a URL, the path of a local copy.

    The copy is uploaded while the command runs and when it ends. Raises `RunFolderError` if the
    copy cannot be uploaded.
    """
    if "://" not in folder or _AT_URL.fullmatch(folder) is None:
        return folder
    from convogen.storage.remote.mirrors import mirrored

    copy = mirrored(folder, purpose, every_s, lambda line: say(line, err=True))
    return str(click.get_current_context().find_root().with_resource(copy))
