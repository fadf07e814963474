"""`convogen study forget`: what a participant answered, deleted on request."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.terminal import say

__all__ = ["command"]


@click.command("forget")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("code")
def command(folder: Path, code: str) -> None:
    """Delete all that the participant with CODE answered, for good.

    CODE is the participant's code, or the name in codes.csv such as p01. The code then opens
    nothing any more. What was exported before is not changed.
    """
    from convogen.study.withdrawing import forget

    say(f"{forget(folder, code)}: everything is deleted, and the code opens nothing")
