"""The command `convogen ablate`: run an experiment over a grid of settings and compare the
resulting runs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from itertools import product
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.limits import limit_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import OutPath, base_url_option, model_option, price_option
from convogen.cli._shared.terminal import say, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from convogen.experiment.experiment import Experiment
    from convogen.models.traffic.budget import Limits
    from convogen.reports.ablation import Comparison
    from convogen.storage.run_folder import Run

__all__ = ["command"]


@click.command("ablate")
@click.argument("experiment")
@click.option(
    "--vary",
    "varied",
    multiple=True,
    required=True,
    metavar="KEY[,KEY]=VALUE,VALUE[,…]",
    help="Key to vary, with its values, as in style=short,chatty. For keys that vary together, "
    "give one list of values per combination, as in "
    "personas,persona_source=[generated,null],[sampled,everyday].",
)
@click.option("--n", type=WholeNumber(min=1), help="Number of conversations per cell.")
@click.option(
    "--out",
    type=OutPath(),
    default=Path("runs/ablation"),
    show_default=True,
    help="Folder for ablation.json and the cells' run folders.",
)
@model_option
@base_url_option
@price_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key in every cell; use dots for nested keys, such as "
    "sampling.agent.temperature=0.7.",
)
@click.option(
    "--concurrency", type=WholeNumber(min=1), help="Maximum number of model calls in flight."
)
@click.option("--seed", type=WholeNumber(min=0), help="Random seed for every cell.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    experiment: str,
    varied: tuple[str, ...],
    n: int | None,
    out: Path,
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    settings: tuple[str, ...],
    concurrency: int | None,
    seed: int | None,
    limits: Limits,
    as_json: bool,
) -> None:
    """Run EXPERIMENT once for each combination (cell) of the varied values, and compare the cells.

    Each cell is a run folder in --out. Repeat the command to resume; no model call is paid for
    twice. Every cell is compared with the first cell, which has the first value of every key. The
    comparison is also written to ablation.json. A budget or deadline applies to all cells together.

    To compare judge scores too, judge the cells with `convogen evaluate` and then repeat `convogen
    ablate`.

    \b
    Example:
      convogen ablate GPFS-s --vary style=short,chatty --n 20 --out runs/style
    """
    from convogen.cli.run import load_with, read_settings
    from convogen.jsonl import is_json_of, refuse_foreign, write_ours
    from convogen.reports.ablation import compare
    from convogen.storage.task_log import refuse_strewing

    given = {"n": n, "seed": seed, "concurrency": concurrency}
    common = read_settings(settings) | {k: v for k, v in given.items() if v is not None}
    cells: dict[str, Experiment] = {}
    for name, keys in _grid(varied).items():
        own = {**common, "name": _folder(name), **keys}
        cells[name] = load_with(experiment, own, models, base_urls, prices)
    _refuse_alike(cells)
    ours = is_json_of({"cells", "differences"})
    refuse_foreign(out / "ablation.json", ours)
    names = {"ablation.json", *(cell.name for cell in cells.values())}
    refuse_strewing(out, lambda path: path.name in names)
    runs = _play(cells, out, limits)
    found = compare(runs, min(cell.n for cell in cells.values()))
    text = json.dumps(asdict(found), indent=1, ensure_ascii=False)
    write_ours(out / "ablation.json", text + "\n", ours)
    if as_json:
        say_json(asdict(found), indent=1)
    else:
        _print(found)


def _refuse_alike(cells: Mapping[str, Experiment]) -> None:
    """Raise `ExperimentError` if two cells are the same experiment."""
    from convogen.errors import ExperimentError

    fingerprints = {cell.fingerprint: name for name, cell in cells.items()}
    for name, cell in cells.items():
        if (other := fingerprints[cell.fingerprint]) != name:
            raise ExperimentError(
                f"--vary: {name} and {other} give the same experiment; choose different values"
            )


def _play(cells: Mapping[str, Experiment], out: Path, limits: Limits) -> dict[str, Run]:
    """Run the cells one after another, within shared limits."""
    from convogen.cli.run import play
    from convogen.engine.run_budget import remaining_limits
    from convogen.storage.run_folder import load_run

    runs: dict[str, Run] = {}
    began = monotonic()
    for at, (name, cell) in enumerate(cells.items(), 1):
        say(f"cell {at} of {len(cells)}: {name}", err=True)
        others = [out / other.name for other in cells.values() if other is not cell]
        begun = [load_run(one) for one in others if (one / "manifest.json").exists()]
        rest = remaining_limits(limits, begun, monotonic() - began)
        runs[name] = play(cell, out / cell.name, False, rest)
    return runs


def _grid(varied: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return a mapping from cell names to settings, ordered so that the last key varies fastest."""
    axes = [_axis(text) for text in varied]
    keys = [key for axis in axes for key in axis[0]]
    if repeated := next((key for key in keys if keys.count(key) > 1), None):
        raise click.UsageError(
            f"--vary: the key {repeated} is given more than once; give each key only once"
        )
    grid: dict[str, dict[str, Any]] = {}
    for levels in product(*axes):
        settings = {key: value for level in levels for key, value in level.items()}
        name = ",".join(f"{key}={_shown(value)}" for key, value in settings.items())
        if name in grid:
            raise click.UsageError(
                f"--vary: the values for the cell {name} are given twice; remove the repeated value"
            )
        grid[name] = settings
    return grid


def _axis(text: str) -> list[dict[str, Any]]:
    """Return the settings for each value of one --vary option."""
    from convogen.errors import UserError
    from convogen.inputs.yaml12 import parse_yaml

    names, sign, values = text.partition("=")
    keys = names.split(",")
    try:
        levels = cast("list[Any]", parse_yaml(f"[{values}]")) if sign and all(keys) else []
    except UserError:
        levels = []
    if len(keys) == 1:
        levels = [[one] for one in levels]
    rows = [cast("list[Any]", one) for one in levels if isinstance(one, list)]
    settings = [dict(zip(keys, row, strict=True)) for row in rows if len(row) == len(keys)]
    if not settings or len(settings) < len(levels):
        raise click.UsageError(
            f"--vary {text}: must be KEY=VALUE,VALUE, such as style=short,chatty, or "
            "KEY,KEY=[VALUE,VALUE],[…] with one value per key in each list"
        )
    return settings


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _folder(name: str) -> str:
    """Return a cell's name in a form that is valid for both a folder and an experiment."""
    import hashlib

    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    if len(plain) <= 60 and "/" not in name:
        return plain
    return f"{plain[:50].strip('-.')}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


def _print(found: Comparison) -> None:

    console = terminal()
    for at, name in enumerate(found.cells, 1):
        console.print(styled(f"cell {at}: {name}"))
    console.print(_means(found))
    if found.differences:
        console.print(_differences(found))
    else:
        console.print(
            "There is only one cell, so nothing is compared; give --vary two or more values.",
            style="dim",
        )


def _label(metric: str) -> str:
    from convogen.reports.ablation import METRICS

    return METRICS.get(metric, metric)


def _means(found: Comparison) -> Table:
    """Return a table with one row per metric and one column per cell."""
    from rich.table import Table

    from convogen.reports.cells import number_text

    cells = list(found.cells.values())
    table = Table(title=f"Means over {found.n} conversations per cell", title_justify="left")
    table.add_column("Metric")
    for at in range(1, len(cells) + 1):
        table.add_column(f"{at}", justify="right", no_wrap=True)
    for metric in cells[0].means:
        means = [cell.means[metric] for cell in cells]
        values = (one.value if one else None for one in means)
        table.add_row(_label(metric), *(number_text(value, 3) for value in values))
    return table


def _differences(found: Comparison) -> Table:
    from rich.table import Table

    from convogen.reports.cells import number_text

    numbers = {name: at for at, name in enumerate(found.cells, 1)}
    table = Table(title="Differences from cell 1", title_justify="left")
    table.add_column("Cell", justify="right")
    table.add_column("Metric")
    for name in ("Difference", "95% interval", "Cliff's δ", "p, Holm"):
        table.add_column(name, justify="right", no_wrap=True)
    last = found.baseline
    for one in found.differences:
        if one.cell != last:
            table.add_section()
        ends = "–" if one.low is None else f"{one.low:.3f} – {one.high:.3f}"
        values = (f"{one.difference:+.3f}", ends, f"{one.cliffs_delta:+.2f}")
        shown = "" if one.cell == last else f"{numbers[one.cell]}"
        table.add_row(shown, _label(one.metric), *values, number_text(one.p_holm, 3))
        last = one.cell
    table.caption = (
        "The intervals come from a bootstrap over conversations, and p from a Mann-Whitney U test "
        f"with the {found.correction} correction."
    )
    return table
