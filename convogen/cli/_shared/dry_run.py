"""The output of `run --dry-run`: a forecast for the whole run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

from rich.table import Table

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.display import usd_text
from convogen.cli._shared.terminal import say, say_json
from convogen.costs.forecast import Forecast, Range, forecast
from convogen.costs.ledger_costs import JUDGE, Prices, spending, total_usd
from convogen.errors import RunFolderError
from convogen.experiment.experiment import Experiment
from convogen.storage.run_folder import Run, load_run
from convogen.text.counting import counted

__all__ = ["missing_pilot", "print_forecast"]


def missing_pilot(experiment: Experiment, folder: Path, wanted: int, fresh: bool) -> int:
    """Return the number of missing pilot conversations, and print whether model calls will be made.

    Raises `RunFolderError` if the folder contains a run of a different experiment.
    """
    wanted, held = min(wanted, experiment.n), 0
    if not fresh and (folder / "manifest.json").exists():
        run = load_run(folder)
        found = run.manifest.get("fingerprint")
        if found != experiment.fingerprint:
            raise RunFolderError(
                f"{folder}: contains a different experiment (fingerprint {found} instead of "
                f"{experiment.fingerprint}); choose another --out, or use --fresh to move the "
                "existing run aside"
            )
        held = experiment.progress(*_rows(run))
    missing = max(wanted - held, 0)
    if missing:
        say(
            f"dry run: generating a pilot of {counted(missing, 'conversation')} with real model "
            f"calls in {folder}; the full run will continue from there, and no model call is paid "
            "for twice",
            err=True,
        )
    else:
        say(
            f"dry run: {folder} already contains {counted(held, 'conversation')}; no model calls "
            "are made",
            err=True,
        )
    return missing


def _rows(run: Run) -> tuple[int, int]:
    """Return the numbers of conversations and of failed or rejected tasks in a run."""
    others = sum(1 for _ in run.failures()) + sum(1 for _ in run.rejected())
    return sum(1 for _ in run.conversations()), others


def _conversations(experiment: Experiment, run: Run) -> int:
    """Return the expected number of conversations in the whole run, given the failure rate so
    far."""
    accepted, others = _rows(run)
    done = experiment.progress(accepted, others)
    return round(experiment.n * accepted / done) if done else experiment.n


def spent_usd(experiment: Experiment, run: Run) -> float | None:
    """Return the cost of a run so far, excluding judging, or None if a price is unknown."""
    rows = spending(run, _prices(experiment, run))
    return total_usd(row for row in rows if row.role != JUDGE)


def _prices(experiment: Experiment, run: Run) -> Prices:
    """Return the prices of a run, including prices from the command line that the folder does not
    record yet."""
    return Prices(run, {role: experiment.model(role) for role in experiment.roles})


def print_forecast(
    experiment: Experiment, run: Run, before_usd: float | None, as_json: bool
) -> None:
    """Print the forecast as JSON, or as a table with a section for each role.

    `before_usd` is the cost of the run before the pilot; None if a price is unknown.
    """
    prices = _prices(experiment, run)
    found = forecast(run, _conversations(experiment, run), prices)
    wall_s = _wall_s(found, experiment.concurrency)
    after_usd = spent_usd(experiment, run)
    pilot_usd = None if before_usd is None or after_usd is None else after_usd - before_usd
    if as_json:
        say_json(_report(found, wall_s, pilot_usd), indent=2)
        return
    console = terminal()
    console.print(
        styled(
            (experiment.name, "bold"),
            f": {counted(found.n, 'conversation')}, forecast from the first {found.seen}. Cost of "
            f"the pilot: {usd_text(pilot_usd)}; total so far: {usd_text(after_usd)}",
        )
    )
    console.print(_table(found))
    if nameless := [model for role, model in found.roles if prices.of(role, model)[0] is None]:
        names = ", ".join(sorted(set(nameless)))
        console.print(f"No price is known for {names}; set prices with --price.")
    low = "" if wall_s.low is None else f" ({_time(wall_s.low)} to {_time(wall_s.high)})"
    console.print(
        f"Remaining time: at least {_time(wall_s.expected)}{low}, if "
        f"{counted(experiment.concurrency, 'call')} can be in flight throughout and the remaining "
        "calls take as long as the calls so far."
    )


def _wall_s(found: Forecast, concurrency: int) -> Range:
    """Return the remaining wall time in seconds: the call time divided by the number of calls in
    flight."""
    seconds = found.total.get("seconds", Range(0, 0, 0, 0))
    so_far = seconds.so_far
    low, high = (
        None if end is None else max(end - so_far, 0) / concurrency
        for end in (seconds.low, seconds.high)
    )
    return Range(0, (seconds.expected - so_far) / concurrency, low, high)


class _ForecastReport(TypedDict):
    """A `Forecast` as JSON: counts of calls and tokens, durations in seconds, costs in US dollars.

    Each entry of `roles` contains the role, its model and a `Range` per quantity.
    """

    n: int
    seen: int
    pilot_usd: float | None
    roles: list[dict[str, str | dict[str, float | None]]]
    total: dict[str, dict[str, float | None]]
    remaining_s: dict[str, float | None]


def _report(found: Forecast, wall_s: Range, pilot_usd: float | None) -> _ForecastReport:
    return _ForecastReport(
        n=found.n,
        seen=found.seen,
        pilot_usd=pilot_usd,
        roles=[
            {"role": role, "model": model, **{key: asdict(value) for key, value in ranges.items()}}
            for (role, model), ranges in found.roles.items()
        ],
        total={key: asdict(value) for key, value in found.total.items()},
        remaining_s=asdict(wall_s),
    )


def _table(found: Forecast) -> Table:
    table = Table(pad_edge=False)
    for column in ("role, model", "quantity"):
        table.add_column(column)
    for column in ("so far", "whole run", "95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    total = {("all", ""): found.total} if len(found.roles) > 1 else {}
    for (role, model), ranges in {**found.roles, **total}.items():
        table.add_section()
        head = f"{role}, {model}" if model else role
        for key, (what, text) in SHOWN.items():
            table.add_row(head, what, *_cells(ranges.get(key), text))
            head = ""
    return table


def _cells(found: Range | None, text: Callable[[Any], str]) -> list[str]:
    if found is None:
        return ["unknown", "unknown", ""]
    known = found.low is not None and found.high is not None
    interval = f"{text(found.low)} – {text(found.high)}" if known else "unknown"
    return [text(found.so_far), text(found.expected), interval]


def _time(seconds: float | None) -> str:
    """Return a duration as text in at most two units: 3 s, 4 min 10 s, 2 h 5 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "calls": ("calls", "{:,.0f}".format),
    "prompt_tokens": ("tokens in", "{:,.0f}".format),
    "cached_tokens": ("of them cached", "{:,.0f}".format),
    "completion_tokens": ("tokens out", "{:,.0f}".format),
    "seconds": ("total call time", _time),
    "cost_usd": ("cost", usd_text),
}
"""The rows shown for each role; maps each quantity to its label and the format for its values."""
