"""Shell commands that messages suggest to the user."""

from __future__ import annotations

import shlex
from pathlib import Path

__all__ = ["shell_path", "suggested"]


def suggested(*args: str | int | Path) -> str:
    """Return a `convogen` command, quoted for a shell.

    A `Path` that begins with `-` gets the prefix `./` so that it is not read as an option.

    >>> suggested("run", Path("-x.yaml"), "--out", Path("my runs/x"))
    "convogen run ./-x.yaml --out 'my runs/x'"
    """
    parts = (shell_path(arg) if isinstance(arg, Path) else shlex.quote(str(arg)) for arg in args)
    return " ".join(("convogen", *parts))


def shell_path(path: str | Path) -> str:
    """Return a path quoted for a shell, prefixed with `./` if it could be read as an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
