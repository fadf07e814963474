"""The command `convogen export`: write a run as a data set, or as files for a tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.cluster import Place, cluster_options
from convogen.cli._shared.numbers import Amount, WholeNumber
from convogen.cli._shared.options import OutPath
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say, say_json
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.exports import Exported, ExportPlan

__all__ = ["command"]


@click.command("export")
@click.argument("folder", metavar="RUN", type=SourcePath())
@click.option(
    "--to",
    "format_",
    metavar="FORMAT",
    required=True,
    help="Format: jsonl, parquet, csv (one row per turn), sharegpt, messages, "
    "dpo, hf, inspect (a log for Inspect View), argilla or label-studio (for human "
    "labelling), or the name of an installed exporter.",
)
@click.option(
    "--out",
    type=OutPath(),
    required=True,
    help="Folder for the data, README.md (the data card) and export.json. With --to inspect: a "
    "file NAME.eval.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of an exporter that a plugin provides.",
)
@click.option(
    "--splits",
    metavar="NAME=SHARE,…",
    default="train=1",
    show_default=True,
    help="Splits, such as train=0.8,validation=0.1,test=0.1. Each experience is in only one split.",
)
@click.option(
    "--seed",
    type=WholeNumber(min=0),
    default=0,
    show_default=True,
    help="Random seed for the splits.",
)
@click.option(
    "--with",
    "joins",
    metavar="WHAT,…",
    default="",
    help="Columns to add: any of personas, scores and provenance.",
)
@click.option(
    "--perspective",
    metavar="NAME",
    help="With --to messages, sharegpt or dpo: speaker who is the assistant, or `each` to write "
    "one row per speaker [default: each].",
)
@click.option(
    "--merge/--no-merge",
    default=None,
    help="With --to messages or sharegpt: merge turns so that user and assistant alternate, "
    "instead of writing one message per turn [default: merge].",
)
@click.option(
    "--system/--no-system",
    default=None,
    help="With --to messages, sharegpt or dpo: add a system message with the persona and the scene "
    "[default: system].",
)
@click.option(
    "--loss-mask",
    metavar="FIELD",
    help="With --to messages or sharegpt: field that marks the messages to train on, either "
    "`weight` (OpenAI, mistral-finetune) or `train` (Axolotl). Turns kept despite a fault are not "
    "marked.",
)
@click.option(
    "--csv-safe/--no-csv-safe",
    default=None,
    help="With --to csv: put an apostrophe before text that a spreadsheet would evaluate as a "
    "formula [default: csv-safe].",
)
@click.option(
    "--judge", metavar="NAME", help="Judge whose scores rank the replies; required with --to dpo."
)
@click.option(
    "--margin",
    type=Amount(min=0),
    help="With --to dpo: minimum score difference between the chosen and the rejected reply "
    "[default: 1].",
)
@click.option(
    "--aspect", help="With --to dpo: aspect whose score is used [default: the mean of all aspects]."
)
@click.option(
    "--alternatives",
    multiple=True,
    metavar="RUN",
    type=SourcePath(),
    help="With --to dpo: another run or replay to compare RUN with, in addition to the replays "
    "next to it.",
)
@click.option(
    "--questions",
    metavar="FILE",
    help="With --to argilla or label-studio: YAML file with your own questions. The questions in "
    "use are exported as questions.yaml.",
)
@click.option(
    "--scene/--no-scene",
    default=None,
    help="With --to argilla or label-studio: show annotators the scene that the conversation is "
    "grounded in [default: scene].",
)
@click.option(
    "--annotators",
    type=WholeNumber(min=1),
    help="With --to argilla: number of annotators per conversation [default: 1].",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Include finished conversations that come after an unfinished task.",
)
@cluster_options("Compute the statistics for the data card")
@click.option("--overwrite", is_flag=True, help="Replace an existing export in the folder.")
@click.option(
    "--push-to-hub",
    metavar="OWNER/NAME",
    help="Push the exported data set to the Hugging Face hub.",
)
@click.option("--private", is_flag=True, help="Make the pushed data set private.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of export.json.")
def command(
    folder: str,
    format_: str,
    out: Path,
    settings: tuple[str, ...],
    partial: bool,
    place: Place,
    push_to_hub: str | None,
    private: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Export a RUN folder as a data set, with a data card that documents it.

    The `inspect` format is for viewing a run in Inspect View. The `argilla` and `label-studio`
    formats are for human labelling; `convogen labels import` imports the labels. `convogen list`
    describes each FORMAT.

    \b
    Examples:
      convogen export runs/demo --to messages --out data/demo
      convogen export runs/demo --to parquet --splits train=0.9,test=0.1 --out data/demo
    """
    from convogen.exports import check_name, export_run, push
    from convogen.storage.run_folder import load_run
    from convogen.storage.waiting import PartialRun

    if private and not push_to_hub:
        raise click.UsageError("--private requires --push-to-hub")
    if push_to_hub:
        check_name(push_to_hub)
    plan = _plan(format_, settings, **given)
    if push_to_hub and plan.exporter.for_tool:
        raise click.UsageError(
            f"--push-to-hub applies only to data sets; --to {format_} is for "
            f"{plan.exporter.for_tool}"
        )
    run = load_run(folder)
    if partial:
        run = PartialRun(run.folder)
    exported = export_run(run, out, plan, place.measuring())
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
    """Return the export plan given on the command line.

    `options` contains the exporter keys that have their own command-line options. Options that are
    not given are left out, because not every exporter has these keys.
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
        none = "; no file written" if not rows else ""
        say(f"{split}: {counted(conversations, 'conversation')}, {counted(rows, 'row')}{none}")
    if plan.exporter.for_tool:
        say(
            f"{counted(exported.conversations.total(), 'conversation')} for "
            f"{plan.exporter.for_tool}"
        )
    if exported.left_out:
        say(f"left out: {counted(exported.left_out, 'conversation')} that produced no rows")
    for kind, n in sorted(exported.counts.items()):
        if n:
            say(f"{kind.replace('_', ' ')}: {n:,}")
    for folder in exported.alternatives.unjudged if exported.alternatives else ():
        say(f"not compared because it has no scores: {folder}", err=True)
    licences = exported.licences
    if licences.unknown:
        say(
            f"sources with an unknown licence: {', '.join(licences.unknown)}; see README.md",
            err=True,
        )
    elif licences.conditions and licences.strictest:
        asked = "; ".join(licences.conditions)
        say(f"strictest of the source licences: {licences.strictest} ({asked})", err=True)
    say(exported.folder)
