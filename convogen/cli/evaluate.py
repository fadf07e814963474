"""`convogen evaluate`: runs measured, and judged where that is asked for."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli.options import again, base_url_option, model_option, models_from, price_option

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.models.spec import ModelSpec
    from convogen.models.tally import Tally
    from convogen.reports import Measured
    from convogen.store import Run

__all__ = ["command", "open_run"]


@click.command("evaluate")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True)
@click.option("--judge", "judge_name", metavar="JUDGE", help="Score each conversation: geval.")
@model_option
@base_url_option
@price_option
@click.option(
    "--against", multiple=True, metavar="CORPUS", help="A (human) corpus to set beside the runs."
)
@click.option("--concurrency", type=click.IntRange(min=1), help="The judge's calls in flight.")
@click.option("--n", type=click.IntRange(min=1), help="Judge the first N conversations only.")
@click.option("--fresh", is_flag=True, help="Move a judge's earlier scores aside first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    folders: tuple[str, ...],
    judge_name: str | None,
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    against: tuple[str, ...],
    concurrency: int | None,
    n: int | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Measure RUN folders: statistics, diversity, group chat; with --judge, groundedness too.

    What is measured goes to scores/statistics.json in each folder, a judge's scores to
    scores/<judge>.jsonl. The same command again goes on with judging that was stopped; no answered
    call is paid for twice.
    """
    from convogen.metrics import available_cores
    from convogen.reports import groundedness, measure_source, write_statistics
    from convogen.reports.matching import matched_corpora

    if judge_name is None and (models or base_urls or prices or concurrency or n or fresh):
        raise click.UsageError(
            "--model, --base-url, --price, --concurrency, --n and --fresh are a judge's; "
            "add --judge geval"
        )
    runs = {folder: open_run(folder) for folder in dict.fromkeys(folders)}
    if judge_name is not None:
        model = _judge_model(models, base_urls, prices)
        _judge(list(runs.values()), judge_name, model, n, concurrency, fresh)
    cores = available_cores()
    beside = dict.fromkeys([*against, *matched_corpora(runs.values())])
    human = {name: measure_source(name, cores) for name in beside}
    ours = {name: measure_source(name, cores) for name in runs}
    reports: list[dict[str, Any]] = []
    for name, run in runs.items():
        statistics = ours[name].as_dict(human)
        write_statistics(run.folder, statistics)
        reports.append({**statistics, "groundedness": groundedness(run, judge_name or "geval")})
    if as_json:
        beside = {name: found.as_dict({}) for name, found in human.items()}
        click.echo(json.dumps({"runs": reports, "against": beside}, ensure_ascii=False))
    else:
        _print(ours, human, reports)


def open_run(folder: str) -> Run:
    from convogen.errors import RunFolderError
    from convogen.store import load_run

    if not folder.startswith("hf:") and (Path(folder) / "manifest.json").is_file():
        run = load_run(folder)
        if next(run.conversations(), None) is None:
            raise RunFolderError(f"{folder}: no conversation is committed in this run yet")
        return run
    raise RunFolderError(
        f"{folder}: no run folder (it has no manifest.json); `convogen stats {shlex.quote(folder)}`"
        " measures any conversation data"
    )


def _judge_model(
    models: Sequence[str], base_urls: Sequence[str], prices: Sequence[str]
) -> ModelSpec:
    from pydantic import ValidationError

    from convogen.errors import ModelConfigError
    from convogen.models.spec import ModelSpec

    chosen = models_from({}, models, base_urls, ["judge"], prices)
    try:
        return ModelSpec.model_validate(chosen.get("judge") or chosen.get("default", "embedded"))
    except ValidationError as error:
        detail = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise ModelConfigError(f"judge: {where}: {detail['msg']}") from error


def _judge(
    runs: Sequence[Run],
    name: str,
    spec: ModelSpec,
    n: int | None,
    concurrency: int | None,
    fresh: bool,
) -> None:
    from convogen import registry
    from convogen.judging import count_scores, judge_run
    from convogen.models.tally import Tally

    judge = registry.load("judges", name)()
    if spec.kind == "embedded":
        click.echo("judged by the embedded SmolLM2-135M: its scores mean little", err=True)
    totals = [count_scores(run, judge, n) for run in runs]
    for run, total in zip(runs, totals, strict=True):
        tally = Tally()
        try:
            with _live(run, total, tally):
                judge_run(
                    run.folder, judge, spec, n=n, concurrency=concurrency, fresh=fresh, tally=tally
                )
        except KeyboardInterrupt:
            done = f"{tally.counts['scores']} of {total} scores"
            click.echo(
                f"stopped: {done} of {run.folder}, all answers kept; to go on: {again()}", err=True
            )
            sys.exit(130)


@contextmanager
def _live(run: Run, total: int, tally: Tally) -> Generator[None]:
    """A bar of scores while they are made: on a terminal, and nowhere else."""
    from rich.console import Console
    from rich.live import Live
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from convogen.cli.display import print_notices

    console = Console(stderr=True)
    if not console.is_terminal:
        print_notices(tally)
        yield
        return
    progress = Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        "scores, left",
        TimeRemainingColumn(),
        "{task.fields[tokens]:,} tokens",
        "{task.fields[notice]}",
    )
    bar = progress.add_task(escape(str(run.folder)), total=total, tokens=0, notice="")

    def draw() -> Progress:
        counts = tally.counts
        notice = escape(tally.notice)
        progress.update(bar, completed=counts["scores"], tokens=counts["tokens"], notice=notice)
        return progress

    with Live(get_renderable=draw, console=console, refresh_per_second=4):
        yield


def _print(
    ours: Mapping[str, Measured], human: Mapping[str, Measured], reports: Sequence[dict[str, Any]]
) -> None:
    from rich.console import Console

    from convogen.cli.stats import more_table, paper_table, repetition_table, short_name

    named = {short_name(name, dict(ours)): found for name, found in ours.items()}
    others = {short_name(name, dict(human)): found for name, found in human.items()}
    console = Console()
    paper = {name: found.paper for name, found in (named | others).items()}
    console.print(paper_table(paper, "paper"))
    texts = {name: found.text for name, found in named.items()}
    console.print(more_table(texts, {name: found.text for name, found in others.items()}))
    for name, found in texts.items():
        if found.repetition:
            console.print(repetition_table(name, found))
    for name, report in zip(named, reports, strict=True):
        if report["groundedness"]:
            console.print(_judge_table(name, report["groundedness"]))
    judged = {name: r["groundedness"] for name, r in zip(named, reports, strict=True)}
    for number in ("IV", "VI"):
        of = {name: found for name, found in judged.items() if found and found["table"] == number}
        if of:
            console.print(_published_table(number, of))
    if not any(judged.values()):
        console.print("No judge's scores yet (tables IV and VI): --judge geval", style="dim")


def _published_table(number: str, judged: Mapping[str, dict[str, Any]]) -> Table:
    """Table IV or VI: ours above, the published rows below."""
    from rich.table import Table
    from rich.text import Text

    from convogen.cli.stats import number_text, published_text
    from convogen.published import published

    known = published("convogen")[number]
    table = Table(title=f"Groundedness, 1 to 5 (table {number})", title_justify="left")
    table.add_column("Data set", overflow="fold")
    for column in known.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in judged.items():
        means = [*(row["value"] for row in found["aspects"].values()), found["average"]]
        table.add_row(Text(name), *map(number_text, means), style="bold")
    table.add_section()
    for name, row in known.rows.items():
        table.add_row(f"{name}, published", *map(published_text, row.values()), style="dim")
    about = list(next(iter(judged.values()))["aspects"])
    table.caption = ", ".join(f"Q{at} {aspect}" for at, aspect in enumerate(about, 1))
    return table


def _judge_table(name: str, found: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from convogen.cli.stats import number_text

    low, high = found["scale"]
    title = f"Groundedness of {name}, {low} to {high}, judged by {found['model']}"
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Aspect")
    for label in ("Mean", "95% interval", "Scores", "None"):
        table.add_column(label, justify="right", no_wrap=True)
    for aspect, row in found["aspects"].items():
        interval = f"{number_text(row['low'])} – {number_text(row['high'])}"
        cells = (number_text(row["value"]), interval, f"{row['n']}", f"{row['missing']}")
        table.add_row(Text(aspect), *cells)
    table.add_section()
    table.add_row("average", number_text(found["average"]), "", "", "", style="bold")
    cost = found["cost"]
    price = "unknown" if cost["cost_usd"] is None else f"${cost['cost_usd']:.2f}"
    tokens = cost["prompt_tokens"] + cost["completion_tokens"]
    how = ", ".join(f"{n} by {method}" for method, n in found["methods"].items()) or "none"
    table.caption = f"Scores: {how}. {cost['calls']:,} calls, {tokens:,} tokens, cost {price}"
    return table
