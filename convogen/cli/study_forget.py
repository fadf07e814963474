"""The command `convogen study forget`: delete a participant's answers on request."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.terminal import say

__all__ = ["command"]


@click.command("forget")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("code")
def command(folder: Path, code: str) -> None:
    """Permanently delete all answers of the participant with CODE.

    CODE is the participant's code, or the participant's name in codes.csv, such as p01. Afterwards,
    the code is no longer accepted. Earlier exports are not changed.
    """
    from convogen.study.withdrawing import forget

    say(f"{forget(folder, code)}: all answers were deleted, and the code is no longer accepted")
