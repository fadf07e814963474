"""`convogen study`: studies of role plays, with people and over seeds; a module per subcommand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from convogen.cli._shared.options import NearestGroup

__all__ = ["SUBCOMMANDS", "command"]

SUBCOMMANDS = {
    "new": "Create a study with people: its settings file, and codes for participants.",
    "serve": "Serve a study to its participants.",
    "export": "Export the participants' answers to files.",
    "forget": "Delete a participant's answers.",
    "results": "Analyse people's answers, next to the paper's tables 3 and 10.",
    "tables": "Print tables for runs over seeds, next to the paper's tables 1, 2, 4, 7 and 9.",
}
"""Maps subcommands to their lines in `--help`; `convogen.cli.study_<name>.command` is the
command."""


class StudyGroup(NearestGroup):
    """A group that imports a subcommand's module only when it is called or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand; None if it is unknown."""
        if cmd_name not in SUBCOMMANDS:
            return None
        return import_module(f"convogen.cli.study_{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a subcommand as click does; raises `click.UsageError` with a hint if the user
        gave folders instead."""
        if args[0] not in SUBCOMMANDS and Path(args[0]).exists():
            ctx.fail(
                f"{args[0]!r:.200} is not a command; `convogen study tables RUN...` prints the "
                f"tables "
                "of runs, `convogen study results ANSWERS...` those of people's answers"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("study", cls=StudyGroup)
def command() -> None:
    """Run studies of role plays with people, and print LLM Roleplay's tables for runs."""
