"""`convogen evaluate`: runs measured, and judged where that is asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.judging import judge_runs
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    base_url_option,
    model_option,
    price_option,
    spec_from,
)
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.judges import Judge
    from convogen.judges.reference_dialogues import ReferenceDialogues
    from convogen.reports import Measured
    from convogen.storage.run_folder import Run

__all__ = ["command", "open_run"]


@click.command("evaluate")
@click.argument("folders", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--judge", "judge_name", metavar="JUDGE", help="Score each: see `convogen list`.")
@click.option("--real", metavar="CORPUS", help="The real dialogues that gteval shows beside ours.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="The judge's keys.")
@model_option
@base_url_option
@price_option
@click.option(
    "--against", multiple=True, metavar="CORPUS", help="A (human) corpus to set beside the runs."
)
@click.option("--concurrency", type=WholeNumber(min=1), help="The judge's calls in flight.")
@click.option("--n", type=WholeNumber(min=1), help="Judge the first N conversations only.")
@click.option("--fresh", is_flag=True, help="Move a judge's earlier scores aside first.")
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    help="Folder for the scores, of a corpus or of a run that another judge has scored.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
    fresh: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure run folders: statistics, diversity, group chat; with --judge, what a judge says.

    What is measured goes to scores/statistics.json in each folder, a judge's scores to
    scores/<judge>.jsonl. The same command again goes on with judging that was stopped; no answered
    call is paid for twice. With --out a SOURCE may be any conversation data.
    """
    from convogen.cli.run import read_settings
    from convogen.cli.stats import print_metric_faults
    from convogen.engine.judge_runner import open_judge
    from convogen.judges.verdict_files import PROTOCOLS
    from convogen.metrics import available_cores
    from convogen.reports import judge_summary, measure_source, scores_by_judge, write_statistics
    from convogen.reports.matching import matched_corpora
    from convogen.reports.verdicts import told_apart

    judges = (models, base_urls, prices, concurrency, n, fresh, real, settings)
    if judge_name is None and any(judges):
        raise click.UsageError(
            "--model, --base-url, --price, --concurrency, --n, --fresh, --real and --set are a "
            "judge's; add --judge geval"
        )
    runs = {folder: _open(folder, out) for folder in dict.fromkeys(folders)}
    if judge_name is not None:
        judge = open_judge(judge_name, read_settings(settings))
        model = spec_from("judge", models, base_urls, prices)
        judged = [(run, _beside(run, judge, real)) for run in runs.values()]
        judge_runs(judged, judge, model, n, concurrency, fresh)
    cores = available_cores()
    beside = dict.fromkeys([*against, *matched_corpora(runs.values())])
    human = {name: measure_source(name, cores) for name in beside}
    ours = {name: measure_source(name, cores) for name in runs}
    print_metric_faults(found.text for found in (*ours.values(), *human.values()))
    reports: list[dict[str, Any]] = []
    for name, run in runs.items():
        statistics = ours[name].as_dict(human)
        write_statistics(run.folder, statistics)
        scoring = judge_name if judge_name and judge_name not in PROTOCOLS else "geval"
        told = {
            "groundedness": judge_summary(run, scoring),
            "judged": scores_by_judge(run),
            "verdicts": told_apart(run),
        }
        first = next(run.conversations(), None)
        made = {"method": first.method if first else None, "mode": _mode(run)}
        reports.append({**statistics, **made, **told})
    if as_json:
        beside = {name: found.as_dict({}) for name, found in human.items()}
        say_json({"runs": reports, "against": beside})
    else:
        _print(ours, human, reports)


def _mode(run: Run) -> str | None:
    """How a run of the method diasynth makes its dialogues: script or groupchat."""
    experiment: dict[str, Any] = run.manifest.get("experiment") or {}
    return experiment.get("mode")


def open_run(folder: str) -> Run:
    from convogen.errors import RunFolderError
    from convogen.storage.run_folder import load_run

    if not folder.startswith("hf:") and (Path(folder) / "manifest.json").is_file():
        run = load_run(folder)
        if next(run.conversations(), None) is None:
            raise RunFolderError(f"{folder}: no conversation is committed in this run yet")
        return run
    raise RunFolderError(
        f"{folder}: no run folder (it has no manifest.json); `convogen stats {shlex.quote(folder)}`"
        " measures any conversation data, --judge with --out FOLDER judges it"
    )


def _open(source: str, out: Path | None) -> Run:
    """A run folder; where `out` is given, any conversation data, its scores in a folder there."""
    from convogen.judges.reference_dialogues import CorpusFolder

    if out is None:
        return open_run(source)
    corpus = CorpusFolder(source, out / (Path(source).name.split(".")[0] or "corpus"))
    corpus.folder.mkdir(parents=True, exist_ok=True)
    return corpus


def _beside(run: Run, judge: Judge, real: str | None) -> ReferenceDialogues | None:
    """The real dialogues that a judge needs; None where it needs none."""
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
                f"{run.source}: judge {judge.name} compares each conversation with a real one; "
                "name the corpus of the real ones (--real)"
            )
        run = load_run(run.source)
    return ReferenceDialogues(f"seeds of {run.folder}", {**seed_dialogues(run)})


def _print(
    ours: Mapping[str, Measured], human: Mapping[str, Measured], reports: Sequence[dict[str, Any]]
) -> None:

    from convogen.cli._shared.diasynth_tables import diasynth_tables
    from convogen.cli.stats import (
        checks_tables,
        metric_tables,
        more_tables,
        paper_table,
        repetition_table,
        short_name,
    )
    from convogen.cli.verdicts import verdict_table

    named = {short_name(name, dict(ours)): found for name, found in ours.items()}
    others = {short_name(name, dict(human)): found for name, found in human.items()}
    console = terminal()
    paper = {name: found.paper for name, found in (named | others).items()}
    console.print(paper_table(paper, "paper"))
    texts = {name: found.text for name, found in named.items()}
    human_texts = {name: found.text for name, found in others.items()}
    metrics = metric_tables(texts | human_texts)
    for table in (*more_tables(texts, human_texts), *checks_tables(texts), *metrics):
        console.print(table)
    for name, found in texts.items():
        if found.repetition:
            console.print(repetition_table(name, found))
    for name, report in zip(named, reports, strict=True):
        for found in report["judged"].values():
            console.print(_judge_table(name, found))
    judged = {name: r["judged"] for name, r in zip(named, reports, strict=True)}
    geval = {name: found["geval"] for name, found in judged.items() if "geval" in found}
    unjudged = not any(judged.values()) and not any(report["verdicts"] for report in reports)
    groups = any(report["method"] == "convogen" for report in reports)
    for number in ("IV", "VI"):
        of = {name: found for name, found in geval.items() if found["table"] == number}
        if of or (unjudged and groups):
            console.print(_published_table(number, of or dict.fromkeys(named)))
    for table in diasynth_tables(named, dict(zip(named, reports, strict=True))):
        console.print(table)
    for protocol in ("unieval", "gteval"):
        of = {n: r["verdicts"] for n, r in zip(named, reports, strict=True)}
        if rows := {name: found[protocol] for name, found in of.items() if protocol in found}:
            console.print(verdict_table(protocol, list(rows.items())))
    if unjudged:
        console.print("No judge's scores yet (tables IV and VI): --judge geval", style="dim")


def _published_table(number: str, judged: Mapping[str, dict[str, Any] | None]) -> Table:
    """Table IV or VI: ours above, empty where not judged, the published rows below."""
    from rich.table import Table

    from convogen.cli.stats import number_text, published_text
    from convogen.published import published

    known = published("convogen")[number]
    title = f"Groundedness, 1 to 5 (table {number})"
    table = Table(title=title, title_justify="left", padding=(0, 0, 0, 1))
    table.add_column("Data set", overflow="fold", min_width=12)
    for column in known.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in judged.items():
        means: list[float | None] = [None] * len(known.columns)
        if found is not None:
            means = [*(row["value"] for row in found["aspects"].values()), found["average"]]
        table.add_row(styled(name), *map(number_text, means), style="bold")
    table.add_section()
    for name, row in known.rows.items():
        table.add_row(f"{name} *", *map(published_text, row.values()), style="dim")
    about = (f"{column} {aspect}" for column, aspect in known.columns.items())
    judges = dict.fromkeys(found["model"] for found in judged.values() if found)
    ours = f"ours, judged by {', '.join(judges)}," if judges else "ours"
    table.caption = styled(
        f"* published, judged by GPT-4o mini with the authors' prompts; {ours} have other prompts, "
        f"which say what each score stands for. {', '.join(about)}"
    )
    return table


def _judge_table(name: str, found: dict[str, Any]) -> Table:
    from rich.table import Table

    from convogen.cli.stats import number_text

    what = "Groundedness" if found["judge"] == "geval" else found["judge"]
    scale = ", {} to {}".format(*found["scale"]) if found["scale"] else ""
    title = f"{what} of {name}{scale}, judged by {found['model']}"
    table = Table(title=styled(title), title_justify="left")
    table.add_column("Aspect")
    for label in ("Mean", "95% interval", "Scores", "None"):
        table.add_column(label, justify="right", no_wrap=True)
    for aspect, row in found["aspects"].items():
        interval = f"{number_text(row['low'])} – {number_text(row['high'])}"
        cells = (number_text(row["value"]), interval, f"{row['n']}", f"{row['missing']}")
        table.add_row(styled(aspect), *cells)
    table.add_section()
    table.add_row("average", number_text(found["average"]), "", "", "", style="bold")
    cost = found["cost"]
    price = "unknown" if cost["cost_usd"] is None else f"${cost['cost_usd']:.2f}"
    tokens = cost["prompt_tokens"] + cost["completion_tokens"]
    how = ", ".join(f"{n} by {method}" for method, n in found["methods"].items()) or "none"
    table.caption = f"Scores: {how}. {cost['calls']:,} calls, {tokens:,} tokens, cost {price}"
    return table
