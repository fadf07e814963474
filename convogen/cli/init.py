"""`convogen init`: a commented experiment file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from convogen.cli._shared.options import OutPath
from convogen.cli._shared.terminal import say
from convogen.errors import UserError

__all__ = ["command"]


@click.command("init")
@click.argument("file", default="experiment.yaml", type=OutPath(dir_okay=False), metavar="[FILE]")
def command(file: Path) -> None:
    """Write a commented experiment to FILE (experiment.yaml if none is named).

    An existing file is never replaced.

    \b
    Example:
      convogen init night-shift.yaml
      convogen run night-shift.yaml --n 3
    """
    from convogen.resources import PACKAGE

    text = (PACKAGE / "experiment" / "starter.yaml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8", newline="\n") as new:
            new.write(text.replace("my-experiment", _as_yaml(file.stem), 1))
    except FileExistsError as error:
        raise UserError(f"{file}: already exists; name another file: convogen init FILE") from error
    name = shlex.quote(str(file))
    say(f"wrote {name}. Edit it, then: convogen run {name}")


def _as_yaml(stem: str) -> str:
    """Return an experiment name for a file, quoted if YAML might read it differently.

    A name has letters, digits, `_`, `.` and `-`; others become `-`.
    """
    name = re.sub(r"[^\w.-]+", "-", stem)
    name = name if re.match(r"\w", name) else "my-experiment"
    return name if re.fullmatch(r"[a-zA-Z]+([-_]\w+)+", name, re.ASCII) else f'"{name}"'
