"""`convogen`: the command group, and how errors reach the user."""

from __future__ import annotations

import io
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, NoReturn

import click

from convogen import __version__
from convogen.errors import ConvogenError

COMMANDS = {
    "run": "Run an experiment: a shipped one by name, or a YAML file.",
    "augment": "Generate more of a labelled data set: conversations, labels, its columns.",
    "show": "Show a run: what is in it, what failed and why, tokens, cost.",
    "ablate": "Run a grid of an experiment's settings, and compare its cells with the first.",
    "replay": "Play a run again from its recorded calls, or a conversation with other models.",
    "stats": "Measure conversation data, ours or foreign, beside the published numbers.",
    "evaluate": "Measure runs, and have a judge score how grounded they are.",
    "study": "Study role plays over seeds, beside the published tables of LLM Roleplay.",
    "downstream": "Train models on a run's dialogues, evaluate them on held-out ones.",
    "verdicts": "Count the verdicts of judges: can generated dialogues be told apart?",
    "agreement": "Compare judges: agreement, self-preference, place, rates put right by people.",
    "arena": "Have a judge compare runs on the same seeds, pair by pair, and rank them.",
    "report": "Put what is known of runs on one page, beside the published numbers.",
    "export": "Export a run as a data set: JSONL, Parquet, CSV, ShareGPT, messages, Hugging Face.",
    "list": "List experiments, methods, judges, exporters, hubs, models; and plugins.",
    "doctor": "Check a model: reachable, JSON schema, log-probabilities, speed.",
    "models": "The embedded models: where they are; pull another GGUF.",
    "train": "Fine-tune a model on the people's turns of real dialogues with chatbots.",
    "personas": "Persona hubs: list those at hand, measure any.",
    "schema": "Print the JSON Schema of an experiment file, for editors.",
}
"""Name -> the line that `--help` prints; `convogen.cli.<name>.command` is the command."""

LONGEST_LINE = 2000
"""Characters of an error that are printed."""

VERBOSE = {"--verbose": 1, "-v": 1, "-vv": 2}


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is called or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"convogen.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="convogen")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--verbose", "-v", count=True, help="Print what happens; twice for all of it.")
@click.pass_context
def cli(context: click.Context, debug: bool, verbose: int) -> None:
    """Generate conversation data that does not exist yet, and measure how good it is."""
    from convogen.cli.notices import notices

    context.with_resource(notices("convogen.corpora"))


def main(argv: list[str] | None = None) -> None:
    """Run the command line; exit status 0 done, 1 stopped early, 2 mendable, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show ends no command
    args = sys.argv[1:] if argv is None else argv
    debug = "--debug" in args
    if debug:
        sys.excepthook = _traceback
    times = sum(VERBOSE.get(arg, 0) for arg in args)
    args = [arg for arg in args if arg != "--debug" and arg not in VERBOSE]
    try:
        with _observed(times):
            status = cli.main(args, prog_name="convogen", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        command = (
            error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        )
        hint = f" (`{command} --help` says more)" if command else ""
        _fail(f"{error.format_message()}{hint}", 2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if not debug:
            _explain(error)
        raise


def _explain(error: Exception) -> None:
    """End with one line, unless it is nobody's fault but convogen's own."""
    from convogen.plugins import blame

    if isinstance(error, ConvogenError):
        _fail(str(error), error.exit_status)
    if line := blame(error):
        _fail(line, 2)
    if isinstance(error, OSError):
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 2)


def _observed(times: int) -> AbstractContextManager[None]:
    """Spans where the environment asks for them, log lines where --verbose does."""
    if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
        from convogen.models.tracing import configure

        if not configure():
            click.echo("convogen: no spans are sent: pip install 'convogen[otel]'", err=True)
    if not times:
        return nullcontext()
    from convogen.log import verbose

    return verbose(times)


def _traceback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A traceback without secrets: what led to an error may quote one."""
    import traceback

    from convogen.masking import masked

    click.echo(masked("".join(traceback.format_exception(kind, error, trace))), err=True)


def _fail(message: str, status: int) -> NoReturn:
    """Say what is wrong in one line, and end."""
    from convogen.masking import masked

    line = masked(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # what is wrong stands before, what is allowed behind
        line = f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    click.echo(f"convogen: {line}", err=True)
    sys.exit(status)
