"""The command `convogen init`: write a commented experiment file."""

from __future__ import annotations

import re
from pathlib import Path

import click

from convogen.cli._shared.options import OutPath
from convogen.cli._shared.terminal import say
from convogen.errors import UserError
from convogen.suggested import shell_path, suggested

__all__ = ["command"]


@click.command("init")
@click.argument("file", default="experiment.yaml", type=OutPath(dir_okay=False), metavar="[FILE]")
def command(file: Path) -> None:
    """Write a commented experiment to FILE (default: experiment.yaml).

    Existing files are never replaced.

    \b
    Example:
      convogen init night-shift.yaml
      convogen run night-shift.yaml --n 3
    """
    from convogen.inputs.yaml12 import YAML_SUFFIXES
    from convogen.jsonl import write_whole
    from convogen.resources import PACKAGE

    if file.suffix not in YAML_SUFFIXES:
        better = suggested("init", file.with_name(f"{file.name}.yaml"))
        raise UserError(f"{file}: the name must end with .yaml or .yml; use {better}")
    if not file.parent.is_dir():
        raise UserError(f"{file}: the folder {file.parent} does not exist; create it first")
    text = (PACKAGE / "experiment" / "starter.yaml").read_text(encoding="utf-8")
    if file.exists() or file.is_symlink():
        raise UserError(f"{file}: already exists; choose another file: convogen init FILE")
    write_whole(file, text.replace("my-experiment", _as_yaml(file.stem), 1))
    say(f"Wrote {shell_path(file)}. Edit it, then run {suggested('run', file)}")


def _as_yaml(stem: str) -> str:
    """Return an experiment name for a file stem, quoted if YAML might not read it as a string.

    Characters other than letters, digits, `_`, `.` and `-` are replaced with `-`.
    """
    name = re.sub(r"[^\w.-]+", "-", stem)
    name = name if re.match(r"\w", name) else "my-experiment"
    return name if re.fullmatch(r"[a-zA-Z]+([-_]\w+)+", name, re.ASCII) else f'"{name}"'
