"""The command `convogen show`: print the contents of a run."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from convogen.records import Conversation, Experience
    from convogen.storage.run_folder import Run

__all__ = ["command"]


@click.command("show")
@click.argument("folder", metavar="RUN", type=RunPath())
@click.option("--conversation", metavar="ID", help="Print the conversation with this id.")
@click.option("--sample", is_flag=True, help="Print the first conversation.")
@click.option("--json", "as_json", is_flag=True, help="Print the output as JSON.")
def command(folder: Path, conversation: str | None, sample: bool, as_json: bool) -> None:
    """Show the contents, rejections, failures, token counts and cost of a RUN."""
    from convogen.cli._shared import display
    from convogen.reports.summary import summarise
    from convogen.storage.run_folder import load_run
    from convogen.storage.waiting import PartialRun

    run = load_run(folder)
    if conversation is not None:
        run = PartialRun(run.folder)
        found = run.conversation(conversation)
        if as_json:
            say_json(found.model_dump(mode="json", exclude_none=True), indent=2)
        else:
            display.print_conversation(found, _experience_of(run, found))
        return
    if as_json:
        say_json(summarise(run).as_dict(), indent=2)
        return
    if sample:
        for first in islice(run.conversations(), 1):
            display.print_conversation(first, _experience_of(run, first))
        return
    display.print_summary(run)
    display.print_rejected(run)
    display.print_failures(run)


def _experience_of(run: Run, conversation: Conversation) -> Experience | None:
    """Return the experience of a conversation, or None if it has none."""
    return next((one for one in run.experiences() if one.id == conversation.experience), None)
