"""The output of `convogen` without a command: suggested next steps for the current folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import get_terminal_size

from convogen.suggested import suggested

__all__ = ["next_steps"]

_START = (
    ("convogen demo", "generate a few conversations with a small local model"),
    ("convogen run GPIS-s --n 20 --model gpt-4o", "run a shipped experiment (set OPENAI_API_KEY)"),
    ("convogen init", "write a commented experiment file to edit"),
    ("convogen list", "list experiments, methods, judges, persona hubs and models"),
)


def next_steps(folder: Path) -> Iterator[str]:
    """Yield suggestions for the newest run under `folder`/runs, or for getting started."""
    run = _newest_run(folder)
    steps = _START if run is None else tuple(_with_a_run(run))
    yield "To get started:" if run is None else f"The newest run here is {run}. Next steps:"
    yield ""
    width = max(len(command) for command, _ in steps)
    fits = max(width + len(what) for _, what in steps) + 4 <= get_terminal_size().columns
    for command, what in steps:
        yield from (f"  {command:<{width}}  {what}",) if fits else (f"  {command}", f"    {what}")
    yield ""
    yield "convogen --help lists all commands; convogen COMMAND --help explains one of them."


def _with_a_run(run: Path) -> Iterator[tuple[str, str]]:
    yield suggested("show", run), "show its contents, failures, token counts and cost"
    yield suggested("report", run), "write a one-page report that includes the published numbers"
    yield suggested("evaluate", run, "--judge", "geval"), "score it with a judge"
    yield suggested("export", run, "--to", "sharegpt", "--out", "data"), "export it as a data set"


def _newest_run(folder: Path) -> Path | None:
    """Return the path of the most recently modified run, or None."""
    try:
        written = [
            (path.stat().st_mtime_ns, path.parent) for path in folder.glob("runs/*/manifest.json")
        ]
    except OSError:
        return None
    return max(written)[1].relative_to(folder) if written else None
