"""The command group `convogen` and the handling of errors."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from convogen.cli._shared.options import NearestGroup
from convogen.cli._shared.terminal import guarded_streams, say, say_nothing_more
from convogen.errors import ConvogenError
from convogen.redaction import masked
from convogen.version import __version__

GROUPS = {
    "Make data": {
        "demo": "Generate a few conversations with a small model on this machine.",
        "init": "Write a commented experiment file to start from.",
        "run": "Run a shipped experiment or an experiment file.",
        "augment": "Generate more rows of a labelled data set, with labels, in the same columns.",
        "ablate": "Run an experiment over a grid of settings and compare the results.",
        "replay": "Replay a run from its recorded model calls, or regenerate part of a "
        "conversation.",
    },
    "Look at it": {
        "view": "Browse runs: search, filter and compare conversations, and inspect each turn.",
        "show": "Show a run's contents, failures, token counts and cost.",
        "report": "Write a one-page report on runs that includes the published numbers for "
        "comparison.",
    },
    "Measure it": {
        "stats": "Measure any conversation data, and print the published numbers for comparison.",
        "evaluate": "Measure runs and score them with a judge.",
        "realism": "Measure how well generated conversations can be distinguished from human ones.",
        "arena": "Rank runs generated from the same seeds by a judge's pairwise comparisons.",
        "verdicts": "Summarise judges' verdicts on whether dialogues are generated.",
        "downstream": "Train models on a run's dialogues and evaluate them on held-out dialogues.",
    },
    "Ask people": {
        "study": "Run human studies of role plays, and print the LLM Roleplay paper's tables for "
        "runs.",
        "labels": "Import human labels from Argilla or Label Studio.",
        "agreement": "Compare judges with one another and with human annotators.",
    },
    "Use it": {
        "export": "Export a run as a data set, or for Inspect View, Argilla or Label Studio.",
        "train": "Fine-tune a model on the human turns in dialogues with chatbots, or on group "
        "chats.",
    },
    "Models and settings": {
        "list": "List experiments, methods, judges, exporters, hubs, models and plugins.",
        "doctor": "Check whether a model is reachable, what it can do and how fast it is.",
        "models": "List the embedded models, or download another GGUF file.",
        "personas": "List persona hubs, or measure a hub.",
        "schema": "Print the JSON Schema of experiment files, for editors.",
    },
}
"""The commands and their descriptions under each heading of `--help`, in the order in which they
are typically used. The command NAME is `convogen.cli.NAME.command`."""

COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}

SHORT_VERBOSE = re.compile("-v+")

LONGEST_LINE = 2000
"""Maximum length of a printed error in characters; errors may quote user input."""


class LazyGroup(NearestGroup):
    """A group that imports the module of a command only when the command or its help is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"convogen.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="convogen")
@click.option("--debug", is_flag=True, help="Show tracebacks for errors.")
@click.option(
    "--verbose", "-v", count=True, help="Print log messages; repeat the option for more detail."
)
@click.pass_context
def cli(context: click.Context, debug: bool, verbose: int) -> None:
    """Generate synthetic multi-party conversations with language models, and measure them."""
    from convogen.cli._shared.notices import notices

    context.with_resource(notices("convogen.corpora"))
    if context.invoked_subcommand is None:
        from convogen.cli._shared.next_steps import next_steps

        for line in next_steps(Path.cwd()):
            say(line)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line.

    The exit status is 0 after success, 1 if the command stopped early, 2 after a user error, and
    130 after an interruption by Ctrl-C or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # unencodable characters must not be fatal
    args = sys.argv[1:] if argv is None else argv
    debug = "--debug" in args
    times = sum(len(arg) - 1 for arg in args if SHORT_VERBOSE.fullmatch(arg))
    times += args.count("--verbose")
    own = [a for a in args if a not in ("--debug", "--verbose") and not SHORT_VERBOSE.fullmatch(a)]
    sys.excepthook = _traceback
    with guarded_streams():
        sys.exit(_status(own, times, debug))


def _status(args: list[str], times: int, debug: bool) -> int:
    """Run a command and return its exit status."""
    try:
        with _observed(times):
            status = cli.main(args, prog_name="convogen", standalone_mode=False)
            with contextlib.suppress(SystemExit):  # the reader of stdout has closed it
                say_nothing_more()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        command = (
            error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        )
        hint = f" (see `{command} --help`)" if command else ""
        return _failed(f"{error.format_message()}{hint}", 2, debug)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        if (line := _mendable(error)) is None:
            raise
        return _failed(line, getattr(error, "exit_status", 2), debug)


def _mendable(error: Exception) -> str | None:
    """Return the message for the user, or None if the error is a bug in convogen."""
    from convogen.plugins.discovery import blame

    if isinstance(error, ConvogenError):
        return str(error)
    if line := blame(error):
        return line
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return None


def _observed(times: int) -> AbstractContextManager[None]:
    """Send trace spans if the environment requests them, and print log messages with --verbose."""
    if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        from convogen.models.tracing import configure

        if not configure():
            say(
                "convogen: trace spans are not sent because OpenTelemetry is not installed; to "
                "send them, pip install 'convogen[otel]'",
                err=True,
            )
    if not times:
        return nullcontext()
    from convogen.telemetry.log import verbose

    return verbose(times)


def _traceback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a traceback with secrets masked, because errors may quote them."""
    import traceback

    say("".join(traceback.format_exception(kind, error, trace)), err=True)


def _failed(message: str, status: int, debug: bool) -> int:
    """Print an error as one line, preceded by the traceback if requested; return the exit
    status."""
    if debug and (error := sys.exc_info()[1]) is not None:
        _traceback(type(error), error, error.__traceback__)
    line = masked(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # the problem comes first, the allowed values last
        line = f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    say(f"convogen: {line}", err=True)
    return status
