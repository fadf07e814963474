"""The command `convogen evaluate`: measure runs and, if requested, judge them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convogen.cli._shared.cluster import Place, cluster_options
from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.interaction_tables import interaction_tables
from convogen.cli._shared.judging import judge_runs
from convogen.cli._shared.limits import budget_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    base_url_option,
    model_option,
    price_option,
    spec_from,
)
from convogen.cli._shared.run_folders import SourcePath, writable
from convogen.cli._shared.terminal import say_json
from convogen.suggested import shell_path
from convogen.text.counting import counted

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.judges import Judge
    from convogen.judges.reference_dialogues import ReferenceDialogues
    from convogen.models.traffic.budget import Limits
    from convogen.reports.evaluation import EvaluatedRun, Evaluation
    from convogen.reports.groundedness import JudgeSummary
    from convogen.reports.measured import Measured
    from convogen.storage.run_folder import Run

__all__ = ["command", "open_run"]


@click.command("evaluate")
@click.argument("folders", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--judge",
    "judge_name",
    metavar="JUDGE",
    help="Judge that scores each conversation; `convogen list` lists all judges.",
)
@click.option(
    "--real",
    metavar="CORPUS",
    type=SourcePath(),
    help="Real dialogues that the `gteval` judge compares with the generated dialogues.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one of the judge's keys."
)
@model_option
@base_url_option
@price_option
@budget_options
@click.option(
    "--against",
    multiple=True,
    metavar="CORPUS",
    type=SourcePath(),
    help="Corpus, usually of human conversations, to compare the runs with.",
)
@click.option(
    "--concurrency", type=WholeNumber(min=1), help="Maximum number of judge calls in flight."
)
@click.option("--n", type=WholeNumber(min=1), help="Judge only the first N conversations.")
@cluster_options("Judge and measure")
@click.option(
    "--fresh", is_flag=True, help="Move the judge's existing scores aside and judge again."
)
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    help="Folder for the scores if a SOURCE is a corpus, or a run that another judge has already "
    "scored.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(
    folders: tuple[str, ...],
    judge_name: str | None,
    real: str | None,
    settings: tuple[str, ...],
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    against: tuple[str, ...],
    concurrency: int | None,
    n: int | None,
    place: Place,
    fresh: bool,
    out: Path | None,
    as_json: bool,
    limits: Limits,
) -> None:
    """Measure the statistics, diversity and group-chat quality of runs and, with --judge, have a
    judge score their conversations.

    In each run folder, the statistics are written to scores/statistics.json and the judge's scores
    to scores/<judge>.jsonl. Repeat the command to resume interrupted judging; no answered model
    call is paid for twice. With --out, a SOURCE can be any conversation data.

    \b
    Examples:
      convogen evaluate runs/demo
      convogen evaluate runs/demo --judge geval --model gpt-4o
    """
    bounds = (limits.usd, limits.tokens)
    asked = (models, base_urls, prices, concurrency, n, fresh, real, settings, *bounds)
    if judge_name is None and any(asked):
        raise click.UsageError(
            "--model, --base-url, --price, --budget-usd, --budget-tokens, --concurrency, --n, "
            "--fresh, --real and --set require --judge, such as --judge geval"
        )
    from convogen.reports.measured import check_statistics_file

    sources = [SourcePath().convert(one, None, None) if out else writable(one) for one in folders]
    runs = {folder: _open(folder, out) for folder in dict.fromkeys(sources)}
    for run in runs.values():
        check_statistics_file(run.folder)
    if judge_name is not None:
        judge = _judge(judge_name, settings)
        judged = [(run, _beside(run, judge, real)) for run in runs.values()]
        model = spec_from("judge", models, base_urls, prices)
        judge_runs(judged, judge, model, n, concurrency, fresh, place.workers(), limits=limits)
    ours, human = _measure(runs, against, place)
    found = _evaluated(runs, ours, human, judge_name)
    if as_json:
        say_json(found.as_dict())
    else:
        _print(ours, human, found.runs)


def _measure(
    runs: Mapping[str, Run], against: Sequence[str], place: Place
) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """Measure runs and the corpora to compare them with, including corpora that runs were matched
    to."""
    from convogen.cli.stats import print_metric_faults
    from convogen.reports.matching import matched_corpora
    from convogen.reports.measured import measure_source

    on = place.measuring()
    beside = dict.fromkeys([*against, *matched_corpora(runs.values())])
    human = {name: measure_source(name, on) for name in beside}
    ours = {name: measure_source(name, on) for name in runs}
    print_metric_faults(found.text for found in (*ours.values(), *human.values()))
    return ours, human


def _evaluated(
    runs: Mapping[str, Run],
    ours: Mapping[str, Measured],
    human: Mapping[str, Measured],
    judge: str | None,
) -> Evaluation:
    """Write the statistics of each run into its folder, and return all statistics and scores."""
    from convogen.reports.evaluation import Evaluation, evaluated
    from convogen.reports.measured import write_statistics

    found: dict[str, EvaluatedRun] = {}
    for name, run in runs.items():
        statistics = ours[name].beside(human)
        write_statistics(run.folder, statistics)
        found[name] = evaluated(run, statistics, judge)
    return Evaluation(found, {name: one.beside({}) for name, one in human.items()})


def open_run(folder: str) -> Run:
    from convogen.errors import RunFolderError
    from convogen.storage.run_folder import load_run

    if not folder.startswith("hf:") and (Path(folder) / "manifest.json").is_file():
        run = load_run(folder)
        if next(run.conversations(), None) is None:
            raise RunFolderError(
                f"{folder}: this run has no committed conversations yet; wait "
                "until it has, or resume the run"
            )
        return run
    raise RunFolderError(
        f"{folder}: not a run folder (it has no manifest.json); to measure other conversation "
        f"data, use `convogen stats {shell_path(folder)}`; to judge such data, use --judge with "
        "--out FOLDER"
    )


def _open(source: str, out: Path | None) -> Run:
    """Return a run or, if `out` is given, any conversation data whose scores are written to a
    subfolder of `out`."""
    from convogen.judges.reference_dialogues import CorpusFolder

    if out is None:
        return open_run(source)
    corpus = CorpusFolder(source, out / (Path(source).name.split(".")[0] or "corpus"))
    corpus.folder.mkdir(parents=True, exist_ok=True)
    return corpus


def _judge(name: str, settings: tuple[str, ...]) -> Judge:
    from convogen.cli.run import read_settings
    from convogen.engine.judge_runner import open_judge

    return open_judge(name, read_settings(settings))


def _beside(run: Run, judge: Judge, real: str | None) -> ReferenceDialogues | None:
    """Return the real dialogues that a judge needs, or None if it needs none."""
    from convogen.corpora.seeds import seed_dialogues
    from convogen.errors import SourceError
    from convogen.judges.reference_dialogues import CorpusFolder, ReferenceDialogues, real_dialogues
    from convogen.storage.run_folder import load_run

    if judge.needs != "reference":
        return None
    if real:
        return real_dialogues(real)
    if isinstance(run, CorpusFolder):
        if not (Path(run.source) / "experiment.yaml").is_file():
            raise SourceError(
                f"{run.source}: the {judge.name} judge compares each conversation with a real "
                "dialogue; give a corpus of real dialogues with --real"
            )
        run = load_run(run.source)
    return ReferenceDialogues(f"seeds of {run.folder}", {**seed_dialogues(run)})


def _print(
    ours: Mapping[str, Measured],
    human: Mapping[str, Measured],
    reports: Mapping[str, EvaluatedRun],
) -> None:
    from convogen.cli.stats import short_name

    named = {short_name(name, ours): found for name, found in ours.items()}
    others = {short_name(name, human): found for name, found in human.items()}
    runs = dict(zip(named, reports.values(), strict=True))
    console = terminal()
    for table in (*_statistics_tables(named, others), *_judges_tables(named, runs)):
        console.print(table)
    if _unjudged(runs):
        console.print(
            "There are no judge scores yet; use --judge geval to fill tables IV and VI.",
            style="dim",
        )


def _statistics_tables(
    named: Mapping[str, Measured], others: Mapping[str, Measured]
) -> Iterator[Table]:
    """Yield the statistics tables for the runs and for the corpora to compare them with."""
    from convogen.cli.stats import (
        checks_tables,
        metric_tables,
        more_tables,
        paper_table,
        repetition_table,
    )

    yield paper_table({name: found.paper for name, found in {**named, **others}.items()}, "paper")
    texts = {name: found.text for name, found in named.items()}
    human = {name: found.text for name, found in others.items()}
    yield from more_tables(texts, human)
    yield from checks_tables(texts)
    yield from metric_tables(texts | human)
    for name, found in texts.items():
        if found.repetition:
            yield repetition_table(name, found)


def _judges_tables(
    named: Mapping[str, Measured], runs: Mapping[str, EvaluatedRun]
) -> Iterator[Table]:
    """Yield the tables with the judges' scores and the published numbers."""
    from convogen.cli._shared.diasynth_tables import diasynth_tables
    from convogen.cli.verdicts import verdict_table
    from convogen.judges.verdict_files import PROTOCOLS
    from convogen.metrics.judged_friction import JUDGE
    from convogen.reports.interaction import SourceInteraction

    for name, run in runs.items():
        for judge, found in run.judged.items():
            if judge != JUDGE:
                yield _judge_table(name, found)
    yield from interaction_tables(
        {name: SourceInteraction(None, run.friction) for name, run in runs.items()}
    )
    geval = {name: run.judged["geval"] for name, run in runs.items() if "geval" in run.judged}
    groups = any(run.method == "convogen" for run in runs.values())
    for number in ("IV", "VI"):
        of = {name: found for name, found in geval.items() if found.table == number}
        if of or (_unjudged(runs) and groups):
            yield _published_table(number, of or dict.fromkeys(named))
    yield from diasynth_tables(
        {name: named[name] for name, run in runs.items() if run.method == "diasynth"},
        {name: run.judged for name, run in runs.items()},
        [name for name, run in runs.items() if run.mode == "groupchat"],
    )
    for protocol in PROTOCOLS:
        said = {name: run.verdicts.get(protocol) for name, run in runs.items()}
        if rows := [
            (name, one.counted, one.position_bias) for name, one in said.items() if one is not None
        ]:
            yield verdict_table(protocol, rows)


def _unjudged(runs: Mapping[str, EvaluatedRun]) -> bool:
    return not any(run.judged or run.verdicts for run in runs.values())


def _published_table(number: str, judged: Mapping[str, JudgeSummary | None]) -> Table:
    """Return table IV or VI, with a row for each run (empty if it was not judged) and published
    rows."""
    from rich.table import Table

    from convogen.cli.stats import published_text
    from convogen.published import published
    from convogen.reports.cells import number_text

    known = published("convogen")[number]
    title = f"Groundedness, 1 to 5 (table {number})"
    table = Table(title=title, title_justify="left", padding=(0, 0, 0, 1))
    table.add_column("Data set", overflow="fold", min_width=12)
    for column in known.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in judged.items():
        means: list[float | None] = [None] * len(known.columns)
        if found is not None:
            means = [*(row.value for row in found.aspects.values()), found.average]
        table.add_row(styled(name), *map(number_text, means), style="bold")
    table.add_section()
    for name, row in known.rows.items():
        table.add_row(f"{name} *", *map(published_text, row.values()), style="dim")
    about = (f"{column} {aspect}" for column, aspect in known.columns.items())
    judges = dict.fromkeys(found.model for found in judged.values() if found)
    ours = f"The scores by {', '.join(judges)}" if judges else "convogen's scores"
    table.caption = styled(
        f"* published, scored by GPT-4o mini with the authors' prompts. {ours} come from other "
        f"prompts, which define each score. {', '.join(about)}"
    )
    return table


def _judge_table(name: str, found: JudgeSummary) -> Table:
    from rich.table import Table

    from convogen.reports.cells import number_text
    from convogen.reports.groundedness import by_method

    what = "Groundedness" if found.judge == "geval" else found.judge
    scale = ", {} to {}".format(*found.scale) if found.scale else ""
    title = f"{what} of {name}{scale}, judged by {found.model}"
    table = Table(title=styled(title), title_justify="left")
    table.add_column("Aspect")
    for label in ("Mean", "95% interval", "Scores", "None"):
        table.add_column(label, justify="right", no_wrap=True)
    for aspect, row in found.aspects.items():
        interval = f"{number_text(row.low)} – {number_text(row.high)}"
        cells = (number_text(row.value), interval, f"{row.n}", f"{row.missing}")
        table.add_row(styled(aspect), *cells)
    table.add_section()
    table.add_row("average", number_text(found.average), "", "", "", style="bold")
    cost = found.cost
    price = "unknown" if cost.cost_usd is None else f"${cost.cost_usd:.2f}"
    tokens = cost.prompt_tokens + cost.completion_tokens
    how = ", ".join(f"{n}{by_method(method)}" for method, n in found.methods.items()) or "none"
    table.caption = (
        f"Scores: {how}. {counted(cost.calls, 'call')}, {counted(tokens, 'token')}, cost {price}"
    )
    return table
