"""The command `convogen downstream`: measure the value of generated dialogues as training data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.limits import budget_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    NearestGroup,
    OutPath,
    base_url_option,
    model_option,
    price_option,
    specs_from,
)
from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say, say_json
from convogen.cli.downstream_pool import as_the_text_says
from convogen.cli.downstream_pool import command as pool_command
from convogen.text.counting import counted

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.downstream.classification import ClassificationResult
    from convogen.downstream.summarization import SummarizationResult
    from convogen.models.traffic.budget import Limits
    from convogen.papers.diasynth.downstream_gains import PublishedSums
    from convogen.reports.intervals import Interval


__all__ = ["command"]

ROLES = ("summarizer", "questioner", "answerer")
"""The roles in `convogen.downstream.summarization`, repeated here because that module is imported
only when needed."""


@click.group("downstream", cls=NearestGroup)
def command() -> None:
    """Train models on a RUN's dialogues and evaluate them on held-out dialogues.

    The original model is compared with up to three fine-tuned models, which are trained on
    synthetic dialogues, on the same number of in-domain dialogues, or on both.
    """


held_out_option = click.option(
    "--held-out",
    required=True,
    multiple=True,
    metavar="FILE",
    help="Dialogues for evaluation, which are never used for training. Repeat the option to "
    "combine several files into one set.",
)
in_domain_option = click.option(
    "--in-domain",
    metavar="FILE",
    help="In-domain dialogues for training, required to compute coverage.",
)
n_option = click.option(
    "--n", type=WholeNumber(min=1), help="Use only the first N generated dialogues."
)
n_held_out_option = click.option(
    "--n-held-out",
    type=WholeNumber(min=1),
    help="Use only the first N dialogues in each held-out file.",
)
out_option = click.option(
    "--out",
    type=OutPath(dir_okay=False),
    help="File for the results, as JSON [default: RUN/downstream/<task>.json].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the output as one JSON object."
)


@command.command("summarization")
@click.argument("run", type=RunPath(writes=True))
@held_out_option
@click.option(
    "--checkpoint",
    required=True,
    help="Name or folder of a seq2seq checkpoint, such as sshleifer/distilbart-cnn-12-6.",
)
@in_domain_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a training parameter: epochs, batch, least_tokens, …",
)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=WholeNumber(min=0),
    help="Random seed; repeat the option to report means over several seeds.",
)
@click.option(
    "--bertscore", metavar="MODEL[@LAYER]", help="Encoder for BERTScore, such as roberta-large@17."
)
@click.option(
    "--questions",
    type=WholeNumber(min=0),
    default=0,
    help="Number of questions per dialogue for QAGS, or 0 (the default) to leave out QAGS; "
    "DiaSynth's authors use 3.",
)
@click.option(
    "--qags-by",
    type=click.Choice(["f1", "bertscore"]),
    default="f1",
    show_default=True,
    help="Measure that compares answers in QAGS. DiaSynth's authors use bertscore, which requires "
    "--bertscore.",
)
@click.option("--column", default="summary", help="Column that contains the summary in each file.")
@n_option
@n_held_out_option
@model_option
@base_url_option
@price_option
@budget_options
@click.option(
    "--concurrency",
    type=WholeNumber(min=1),
    default=8,
    help="Maximum number of model calls in flight.",
)
@out_option
@json_option
def summarization_command(
    run: Path,
    held_out: tuple[str, ...],
    checkpoint: str,
    settings: tuple[str, ...],
    seeds: tuple[int, ...],
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    limits: Limits,
    concurrency: int,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Fine-tune a checkpoint to summarise a run's dialogues.

    The summaries of the held-out dialogues are scored with ROUGE-L, BERTScore and QAGS. The model
    in the `summarizer` role summarises the run's dialogues that have no summary. The models in the
    `questioner` and `answerer` roles are used for QAGS. Repeat the command to resume; existing
    summaries and trained models are reused.
    """
    from convogen.cli.evaluate import open_run
    from convogen.cli.run import NO_MODEL
    from convogen.downstream.summarization import Summarization, summarization
    from convogen.engine.item_runner import Asking
    from convogen.models.progress import RunProgress

    open_run(str(run))
    task = Summarization(
        run=run,
        held_out=held_out,
        training=_training(checkpoint, settings),
        seeds=seeds or (0,),
        models=specs_from(models, base_urls, ROLES, prices),
        **given,
    )
    if not task.models:
        say(NO_MODEL, err=True)
    out = _free(out or run / "downstream" / f"summarization-{task.training.name}.json")
    tally = RunProgress()
    asking = Asking(run / "downstream", concurrency, tally, limits=limits)
    found = summarization(task, asking, lambda line: say(line, err=True))
    if calls := tally.counts["calls"]:
        say(f"{counted(calls, 'call')}, {counted(tally.counts['tokens'], 'token')}", err=True)
    _show(found, out, as_json)


@command.command("classification")
@click.argument("run", type=RunPath(writes=True))
@held_out_option
@in_domain_option
@click.option("--label", default="topic", help="Column that contains the label to predict.")
@click.option(
    "--seed",
    type=WholeNumber(min=0),
    default=0,
    help="Random seed for sampling the in-domain dialogues.",
)
@n_option
@n_held_out_option
@out_option
@json_option
def classification_command(run: Path, out: Path | None, as_json: bool, **given: Any) -> None:
    """Train a topic or intent classifier on a run's dialogues.

    The predictions on the held-out dialogues are scored with accuracy and macro-F1.
    """
    from convogen.cli.evaluate import open_run
    from convogen.downstream.classification import Classification, classification

    open_run(str(run))
    task = Classification(run=run, **given)
    out = _free(out or run / "downstream" / f"classification-{task.label}.json")
    found = classification(task, lambda line: say(line, err=True))
    _show(found, out, as_json)


@command.command("published")
@json_option
def published_command(as_json: bool) -> None:
    """Recompute DiaSynth's tables 6 and 7.

    The numbers are computed with the paper's equations and printed next to the paper's numbers.
    Each number is a mean over cells. A cell is one combination of summariser, data set and measure.
    """

    from convogen.papers.diasynth.downstream_gains import published_sums

    found, paper = published_sums(), as_the_text_says()
    if as_json:
        say_json({"generators": {name: asdict(one) for name, one in found.items()}, "paper": paper})
    else:
        terminal().print(_published_table(found))


command.add_command(pool_command)


def _published_table(found: Mapping[str, PublishedSums]) -> Table:
    from rich.table import Table

    from convogen.reports.cells import number_text

    title = "DiaSynth, tables 6 and 7: generated data compared with no data and with in-domain data"
    table = Table(title=styled(title), title_justify="left")
    for column in ("Generated by", "cells", "% improvement", "% coverage", "without QAGS"):
        table.add_column(column, justify="left" if column == "Generated by" else "right")
    for name, row in found.items():
        means = (row.improvement, row.coverage, row.coverage_without_qags)
        table.add_row(name, f"{row.cells}", *map(number_text, means))
    table.add_section()
    table.add_row("published", "", *map(number_text, as_the_text_says().values()), style="dim")
    table.caption = (
        "Improvement is computed with equation 1, coverage with equation 2. The paper's coverage "
        "follows from its LLaMA-3 cells, but its improvement does not."
    )
    return table


def _training(checkpoint: str, settings: tuple[str, ...]) -> Any:
    from pydantic import ValidationError

    from convogen.cli.run import read_settings
    from convogen.downstream.seq2seq import Training
    from convogen.errors import ExperimentError
    from convogen.inputs.keys import first_fault

    given = {**read_settings(settings), "checkpoint": checkpoint}
    try:
        return Training.model_validate(given)
    except ValidationError as error:
        allowed = ", ".join(key for key in Training.model_fields if key != "checkpoint")
        raise ExperimentError(f"--set {first_fault(error)}; allowed keys: {allowed}") from error


def _show(found: SummarizationResult | ClassificationResult, out: Path, as_json: bool) -> None:
    from convogen.jsonl import make_folder, write_whole

    plain = asdict(found)
    make_folder(out.parent)
    write_whole(out, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    if as_json:
        say_json(plain)
        return

    console = terminal()
    console.print(_table(found))
    console.print(f"{out}", style="dim", soft_wrap=True)


def _free(out: Path) -> Path:
    """Return the path for results; raises `RunFolderError` if it is an existing file that convogen
    did not write."""
    from convogen.jsonl import is_json_of, refuse_foreign

    refuse_foreign(out, is_json_of({"task", "arms", "held_out"}))
    return out


def _table(found: SummarizationResult | ClassificationResult) -> Table:
    """Return a table with the means for each arm, the improvement and the coverage, with
    intervals."""
    from rich.table import Table

    held_out = found.held_out
    title = f"{found.task.capitalize()}, {held_out.dialogues} held-out dialogues"
    table = Table(title=styled(f"{title} from {held_out.source}"), title_justify="left")
    metrics = list(next(iter(found.arms.values())))
    table.add_column("Trained on")
    for metric in [*metrics, "average"]:
        table.add_column(metric, justify="right")
    for arm, row in found.arms.items():
        table.add_row(_name(arm), *(_cell(row[metric], 4) for metric in metrics), "")
    unknown = found.unknown if found.task == "classification" else {}
    if any(unknown.values()):
        table.add_section()
        for arm, share in unknown.items():
            table.add_row(f"{_name(arm)}: unseen labels", f"{share:.1%} of held-out", "", "")
    for what, of, compared in (
        ("improvement", "over the untuned model", found.improvement),
        ("coverage", "of in-domain data", found.coverage),
    ):
        table.add_section()
        for arm, row in compared.items():
            if row:
                cells = (_cell(row[metric], 2) for metric in [*metrics, "average"])
                table.add_row(f"{_name(arm)}: % {what} {of}", *cells)
    how = _qags(found) if found.task == "summarization" else ""
    table.caption = f"95% bootstrap intervals over the held-out dialogues{how}"
    return table


def _qags(found: SummarizationResult) -> str:
    """Return a note on how QAGS is measured and, if the paper's method is different, on that
    method."""
    by, n = found.qags_by, found.questions
    if not n:
        return ""
    how = "BERTScore" if by == "bertscore" else "word F1"
    said = f"; QAGS: {how} of the answers to {n} question{'s' if n > 1 else ''} per dialogue"
    return said if (by, n) == ("bertscore", 3) else f"{said} (DiaSynth: BERTScore, 3 questions)"


def _name(arm: str) -> str:
    return {"base": "nothing (untuned)", "in_domain": "in-domain"}.get(arm, arm)


def _cell(found: Interval | None, digits: int) -> str:
    from convogen.reports.cells import number_text

    if found is None:
        return number_text(None)
    shown = number_text(found.value, digits)
    if found.low is None:
        return shown
    return f"{shown}\n({number_text(found.low, digits)}, {number_text(found.high, digits)})"
