"""`convogen`: the command group, and how errors reach the user."""

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
        "demo": "Try it: generate a few conversations with a small model on this machine.",
        "init": "Write a commented experiment file to start from.",
        "run": "Run an experiment: a shipped one by name, or a YAML file.",
        "augment": "Generate more rows of a labelled data set, with labels, in its own columns.",
        "ablate": "Run an experiment over a grid of settings, and compare the cells.",
        "replay": "Replay a run from its recorded calls, or a conversation with other models.",
    },
    "Look at it": {
        "view": "Browse runs: search, filter, compare, and see what is behind each turn.",
        "show": "Show a run: contents, failures and their causes, tokens, cost.",
        "report": "Write a one-page report about runs, next to the published numbers.",
    },
    "Measure it": {
        "stats": "Measure any conversation data, next to the published numbers.",
        "evaluate": "Measure runs, and have a judge score them.",
        "realism": "Distinguish generated conversations from human ones, and show what differs.",
        "arena": "Rank runs on the same seeds by a judge's pairwise comparisons.",
        "verdicts": "Summarise judges' verdicts: are generated dialogues recognised?",
        "downstream": "Train models on a run's dialogues and evaluate them on held-out ones.",
    },
    "Ask people": {
        "study": "Run studies of role plays with people, and print LLM Roleplay's tables for runs.",
        "labels": "Import human labels from Argilla or Label Studio.",
        "agreement": "Compare judges and people: agreement, self-preference, corrected rates.",
    },
    "Use it": {
        "export": "Export a run as a data set, or to Inspect View, Argilla or Label Studio.",
        "train": "Fine-tune a model on the human turns of real dialogues with chatbots.",
    },
    "Models and settings": {
        "list": "List experiments, methods, judges, exporters, hubs, models and plugins.",
        "doctor": "Check a model: is it reachable, JSON schema, log-probabilities, speed.",
        "models": "Show where the embedded models are, or download another GGUF file.",
        "personas": "List persona hubs, or measure one.",
        "schema": "Print the JSON Schema of an experiment file, for editors.",
    },
}
"""Maps headings to commands and their lines in `--help`, in the order of use.
`convogen.cli.<name>.command` is the command."""

COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}

SHORT_VERBOSE = re.compile("-v+")

LONGEST_LINE = 2000
"""Maximum length of a printed error, in characters; it may quote user input."""


class LazyGroup(NearestGroup):
    """A group that imports a command's module only when it is called or asked for help."""

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
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--verbose", "-v", count=True, help="Log what happens; repeat for full detail.")
@click.pass_context
def cli(context: click.Context, debug: bool, verbose: int) -> None:
    """Generate conversation data that does not exist yet, and measure how good it is."""
    from convogen.cli._shared.notices import notices

    context.with_resource(notices("convogen.corpora"))
    if context.invoked_subcommand is None:
        from convogen.cli._shared.next_steps import next_steps

        for line in next_steps(Path.cwd()):
            say(line)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line.

    Exit status: 0 if done, 1 if stopped early, 2 for a user error, 130 if interrupted by Ctrl-C or
    SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters it cannot encode must not be fatal
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
    """Return the message for the user; None for bugs in convogen itself."""
    from convogen.plugins.discovery import blame

    if isinstance(error, ConvogenError):
        return str(error)
    if line := blame(error):
        return line
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return None


def _observed(times: int) -> AbstractContextManager[None]:
    """Send spans if the environment asks for them, and print log lines with --verbose."""
    if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        from convogen.models.tracing import configure

        if not configure():
            say("convogen: no spans are sent; to send them: pip install 'convogen[otel]'", err=True)
    if not times:
        return nullcontext()
    from convogen.telemetry.log import verbose

    return verbose(times)


def _traceback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Return a traceback without secrets, since errors may quote them."""
    import traceback

    say("".join(traceback.format_exception(kind, error, trace)), err=True)


def _failed(message: str, status: int, debug: bool) -> int:
    """Print an error in one line, preceded by the traceback if requested."""
    if debug and (error := sys.exc_info()[1]) is not None:
        _traceback(type(error), error, error.__traceback__)
    line = masked(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # the problem comes first, the allowed values last
        line = f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    say(f"convogen: {line}", err=True)
    return status
