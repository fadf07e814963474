"""The command `convogen study`: run human studies of role plays and print tables for runs.

Each subcommand has its own module.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from convogen.cli._shared.options import NearestGroup

__all__ = ["SUBCOMMANDS", "command"]

SUBCOMMANDS = {
    "new": "Create a human study with its settings file and the participants' codes.",
    "serve": "Serve a study to its participants.",
    "export": "Export the participants' answers to files.",
    "forget": "Delete a participant's answers.",
    "results": "Analyse the participants' answers, and compare the results with the paper's tables "
    "3 and 10.",
    "tables": "Print tables for runs with different seeds, next to the paper's tables 1, 2, 4, 7 "
    "and 9.",
}
"""Maps each subcommand to its description in `--help`. The subcommand NAME is
`convogen.cli.study_NAME.command`."""


class StudyGroup(NearestGroup):
    """A group that imports a subcommand's module only when the subcommand or its help is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand, or None if it is unknown."""
        if cmd_name not in SUBCOMMANDS:
            return None
        return import_module(f"convogen.cli.study_{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand and its arguments.

        Raises `click.UsageError` if the subcommand is unknown, with a hint if the first argument is
        a path.
        """
        if args[0] not in SUBCOMMANDS and Path(args[0]).exists():
            ctx.fail(
                f"{args[0]!r:.200} is not a command; use `convogen study tables RUN...` to print "
                "tables for runs, or `convogen study results ANSWERS...` to analyse a human study"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("study", cls=StudyGroup)
def command() -> None:
    """Run human studies of role plays, and print the LLM Roleplay paper's tables for runs."""
