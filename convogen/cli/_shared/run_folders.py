"""Run folders named on the command line; a URL is replaced by the path of a local copy."""

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
"""Matches a URL, and labels before it as some commands allow: `JUDGE=s3://bucket/run`."""


class SourcePath(click.Path):
    """A run folder or other data to read, as a string; for a URL, the path of its local copy."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the string with a URL replaced; raises `RunFolderError` if it cannot be read."""
        text = str(value)
        if "://" not in text or (match := _AT_URL.fullmatch(text)) is None:
            return text
        from convogen.storage.remote.mirrors import local_copy

        return f"{match['label'] or ''}{local_copy(match['url'])}"


class RunPath(SourcePath):
    """A run folder, as `pathlib.Path`; for a URL, its local copy."""

    def __init__(self, *, writes: bool = False) -> None:
        super().__init__()
        self._writes = writes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raises `RunFolderError` if a run on a store cannot be read."""
        return Path(writable(value) if self._writes else super().convert(value, param, ctx))


class RunOutPath(OutPath):
    """A run folder to write to: a `pathlib.Path`, or a URL as a string."""

    takes_urls = True


def writable(folder: str, purpose: Purpose = "scores", every_s: float | None = None) -> str:
    """Return a run folder to write to; for a URL, a local copy that is written back.

    The copy is written back while the command runs, and when the command ends. Raises
    `RunFolderError` if that is impossible.
    """
    if "://" not in folder or _AT_URL.fullmatch(folder) is None:
        return folder
    from convogen.storage.remote.mirrors import mirrored

    copy = mirrored(folder, purpose, every_s, lambda line: say(line, err=True))
    return str(click.get_current_context().find_root().with_resource(copy))
