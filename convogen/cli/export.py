"""`convogen export`: a run as a data set, or in the files of a tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.numbers import Amount, WholeNumber
from convogen.cli._shared.terminal import say, say_json

if TYPE_CHECKING:
    from convogen.exports import Exported, ExportPlan

__all__ = ["command"]


@click.command("export")
@click.argument("folder", metavar="RUN")
@click.option(
    "--to",
    "format_",
    metavar="FORMAT",
    required=True,
    help="jsonl, parquet, csv (a turn a row), sharegpt, messages, dpo, hf; inspect (a log for "
    "Inspect View); argilla, label-studio (for people to label); or an installed one.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the data, the card README.md and export.json; inspect: a file, NAME.eval.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An installed exporter's keys."
)
@click.option(
    "--splits",
    metavar="NAME=SHARE,…",
    default="train=1",
    show_default=True,
    help="Such as train=0.8,validation=0.1,test=0.1; an experience is in one of them.",
)
@click.option(
    "--seed", type=WholeNumber(min=0), default=0, show_default=True, help="Seed of the splits."
)
@click.option(
    "--with",
    "joins",
    metavar="WHAT,…",
    default="",
    help="Columns to join: personas, scores, provenance.",
)
@click.option(
    "--perspective",
    metavar="NAME",
    help="messages, sharegpt, dpo: who is the assistant; `each` gives a row per speaker [default: "
    "each].",
)
@click.option(
    "--merge/--no-merge",
    default=None,
    help="messages, sharegpt: roles alternate from user to assistant, or a message per turn as it "
    "was said [default: merge].",
)
@click.option(
    "--system/--no-system",
    default=None,
    help="messages, sharegpt, dpo: a system message with persona and scene [default: system].",
)
@click.option(
    "--loss-mask",
    metavar="FIELD",
    help="messages, sharegpt: mark the messages to learn with `weight` (OpenAI, mistral-finetune) "
    "or `train` (Axolotl); turns taken in spite of a fault are not.",
)
@click.option(
    "--csv-safe/--no-csv-safe",
    default=None,
    help="csv: an apostrophe before texts that a spreadsheet would evaluate [default: csv-safe].",
)
@click.option("--judge", metavar="NAME", help="dpo: whose scores rank the replies; needed.")
@click.option(
    "--margin",
    type=Amount(min=0),
    help="dpo: how much higher the chosen reply is scored at least [default: 1].",
)
@click.option("--aspect", help="dpo: the aspect that counts [default: the mean of all].")
@click.option(
    "--alternatives",
    multiple=True,
    metavar="RUN",
    help="dpo: a further run or replay to compare with, in addition to the replays next to RUN.",
)
@click.option(
    "--questions",
    metavar="FILE",
    help="argilla, label-studio: a YAML file with questions of your own; the default ones are in "
    "the export, questions.yaml.",
)
@click.option(
    "--scene/--no-scene",
    default=None,
    help="argilla, label-studio: show what a conversation is grounded in [default: scene].",
)
@click.option(
    "--annotators",
    type=WholeNumber(min=1),
    help="argilla: how many people label each conversation [default: 1].",
)
@click.option(
    "--partial",
    is_flag=True,
    help="With the conversations that are finished behind a task that is not.",
)
@click.option("--overwrite", is_flag=True, help="Replace the export that is in the folder.")
@click.option("--push-to-hub", metavar="OWNER/NAME", help="Then push it to the Hugging Face hub.")
@click.option("--private", is_flag=True, help="Make the pushed data set private.")
@click.option("--json", "as_json", is_flag=True, help="Print export.json.")
def command(
    folder: str,
    format_: str,
    out: Path,
    settings: tuple[str, ...],
    partial: bool,
    push_to_hub: str | None,
    private: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Export a RUN folder as a data set, with a card that says what it is and how it was made.

    Or for a tool to look at it (inspect) or to have people label it (argilla, label-studio):
    `convogen labels import` reads their answers back. `convogen list` says what each FORMAT is.
    """
    from convogen.exports import check_name, export_run, push
    from convogen.metrics import available_cores
    from convogen.storage.run_folder import load_run
    from convogen.storage.waiting import PartialRun

    if private and not push_to_hub:
        raise click.UsageError("--private is about --push-to-hub")
    if push_to_hub:
        check_name(push_to_hub)
    plan = _plan(format_, settings, **given)
    if push_to_hub and plan.exporter.for_tool:
        raise click.UsageError(
            f"--push-to-hub pushes data sets; --to {format_} is for {plan.exporter.for_tool}"
        )
    run = load_run(folder)
    if partial:
        run = PartialRun(run.folder)
    exported = export_run(run, out, plan, available_cores())
    if as_json:
        say_json(exported.description)
    else:
        _print(exported, plan)
    if push_to_hub:
        say(push(out, push_to_hub, private), err=as_json)


def _plan(
    format_: str,
    settings: tuple[str, ...],
    *,
    splits: str,
    seed: int,
    joins: str,
    overwrite: bool,
    alternatives: tuple[str, ...],
    **options: Any,
) -> ExportPlan:
    """The plan of the command line; `options` are the exporter's keys with an option of their own.

    An option that is not given is left out, so that an exporter without it takes no offence.
    """
    from convogen.cli.run import read_settings
    from convogen.exports import ExportPlan, open_exporter, parse_splits

    own = {key: value for key, value in options.items() if value is not None}
    exporter = open_exporter(format_, {**own, **read_settings(settings)})
    wanted = [name.strip() for name in joins.split(",") if name.strip()]
    return ExportPlan(
        exporter,
        splits=parse_splits(splits),
        joins=wanted,
        seed=seed,
        overwrite=overwrite,
        alternatives=alternatives,
    )


def _print(exported: Exported, plan: ExportPlan) -> None:
    for split in plan.splits if not plan.exporter.for_tool else ():
        conversations, rows = exported.conversations[split], exported.rows[split]
        none = "; no file" if not rows else ""
        say(f"{split}: {conversations:,} conversations, {rows:,} rows{none}")
    if plan.exporter.for_tool:
        say(f"{exported.conversations.total():,} conversations for {plan.exporter.for_tool}")
    if exported.left_out:
        say(f"left out: {exported.left_out:,} conversations without a row")
    for kind, n in sorted(exported.counts.items()):
        if n:
            say(f"{kind.replace('_', ' ')}: {n:,}")
    for folder in exported.alternatives.unjudged if exported.alternatives else ():
        say(f"no scores, not compared: {folder}", err=True)
    licences = exported.licences
    if licences.unknown:
        say(f"licence not known: {', '.join(licences.unknown)}; see README.md", err=True)
    elif licences.conditions and licences.strictest:
        asked = "; ".join(licences.conditions)
        say(f"strictest licence of a source: {licences.strictest} ({asked})", err=True)
    say(exported.folder)
