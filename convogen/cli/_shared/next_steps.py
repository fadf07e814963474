"""The output of `convogen` without a command: suggested next steps in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import get_terminal_size

from convogen.suggested import suggested

__all__ = ["next_steps"]

_START = (
    ("convogen demo", "a few conversations by a small model on this machine"),
    ("convogen run GPIS-s --n 20 --model gpt-4o", "a shipped experiment, with OPENAI_API_KEY set"),
    ("convogen init", "write your own experiment file, with comments"),
    ("convogen list", "experiments, methods, judges, persona hubs and models"),
)


def next_steps(folder: Path) -> Iterator[str]:
    """Yield suggestions for the newest run under `folder`/runs, or for getting started."""
    run = _newest_run(folder)
    steps = _START if run is None else tuple(_with_a_run(run))
    yield "To begin:" if run is None else f"The newest run here is {run}. What next?"
    yield ""
    width = max(len(command) for command, _ in steps)
    fits = max(width + len(what) for _, what in steps) + 4 <= get_terminal_size().columns
    for command, what in steps:
        yield from (f"  {command:<{width}}  {what}",) if fits else (f"  {command}", f"    {what}")
    yield ""
    yield "convogen --help lists all commands, convogen COMMAND --help explains one."


def _with_a_run(run: Path) -> Iterator[tuple[str, str]]:
    yield suggested("show", run), "its contents, failures and their causes, tokens, cost"
    yield suggested("report", run), "a one-page report, next to the published numbers"
    yield suggested("evaluate", run, "--judge", "geval"), "have a judge score it"
    yield suggested("export", run, "--to", "sharegpt", "--out", "data"), "export it as a data set"


def _newest_run(folder: Path) -> Path | None:
    """Return the path of the run that was modified last."""
    try:
        written = [
            (path.stat().st_mtime_ns, path.parent) for path in folder.glob("runs/*/manifest.json")
        ]
    except OSError:
        return None
    return max(written)[1].relative_to(folder) if written else None
