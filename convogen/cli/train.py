"""The command `convogen train`: fine-tune a model on human turns or on group chats."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.console import terminal
from convogen.cli._shared.limits import budget_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    again,
    base_url_option,
    model_option,
    price_option,
    spec_from,
)
from convogen.cli._shared.terminal import say
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.models.spec import ModelSpec
    from convogen.models.traffic.budget import Limits
    from convogen.training.manifest import SourceCounts, TrainingManifest
    from convogen.training.tuning import Progress, TrainingPlan

__all__ = ["command"]


@click.command("train")
@click.argument("train")
@click.option(
    "--held-out", required=True, metavar="SOURCE", help="Corpus for evaluation, other than TRAIN."
)
@click.option(
    "--base",
    default="embedded",
    show_default=True,
    help="Model to train: `embedded`, a .gguf file, or the folder or name of a checkpoint.",
)
@click.option(
    "--learn",
    type=click.Choice(["inquirer", "agents"]),
    default="inquirer",
    show_default=True,
    help="Speakers whom the model learns to imitate: a person who talks to a chatbot (`inquirer`), "
    "or the people in a group chat (`agents`).",
)
@click.option(
    "--agent-prompt",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --learn agents: prompt file for the agents [default: the shipped file].",
)
@click.option(
    "--encounter-prompt",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --learn agents: prompt file with which the model also learns to invent scenes.",
)
@click.option(
    "--max-words",
    type=WholeNumber(min=1),
    help="With --learn agents: guideline for the number of words in a short reply, as in a run.",
)
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of an earlier training run whose adapter is to be trained further.",
)
@click.option("--out", type=OutPath(), help="Output folder [default: runs/train-…].")
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="YAML file that overrides the paper's settings (convogen/training/dialogueforge.yaml).",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a training setting."
)
@click.option(
    "--n", type=WholeNumber(min=1), help="Number of dialogues to train on [default: all]."
)
@click.option(
    "--n-held-out",
    type=WholeNumber(min=1),
    help="Number of held-out dialogues to evaluate on [default: all].",
)
@click.option(
    "--steps",
    type=WholeNumber(min=1),
    help="Number of training steps [default: determined by the number of epochs].",
)
@click.option(
    "--seed",
    type=WholeNumber(min=0),
    help="Random seed for the order of the data, sampling and the initial weights.",
)
@click.option(
    "--merge", is_flag=True, help="Also write the whole model, with the adapter merged into it."
)
@click.option(
    "--gguf",
    is_flag=True,
    help="Also write .gguf files of the model (for --model FILE) and of the adapter.",
)
@click.option(
    "--format", "train_format", help="Format of TRAIN; detected automatically by default."
)
@click.option(
    "--held-out-format", help="Format of the held-out corpus; detected automatically by default."
)
@model_option
@base_url_option
@price_option
@budget_options
@click.option(
    "--no-summaries",
    is_flag=True,
    help="Do not generate missing task summaries; dialogues without a summary then have no task in "
    "the prompt.",
)
@click.option("--licence", help="Licence of TRAIN, to be recorded in the manifest.")
@click.option("--fresh", is_flag=True, help="Move an existing output folder aside and start over.")
def command(
    train: str,
    held_out: str,
    out: Path | None,
    fresh: bool,
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    limits: Limits,
    no_summaries: bool,
    **given: Any,
) -> None:
    """Fine-tune a model on the human turns in TRAIN, and evaluate it on another corpus.

    Each corpus is a file, a run folder, or hf:OWNER/NAME[@CONFIG][:SPLIT]. It contains dialogues
    between a person and a chatbot. With --learn agents, each corpus is a run, a file with scenes,
    or a file with conversations and their personas. A dialogue in TRAIN that has the same id or
    first utterance as a held-out dialogue is not used for training.

    If a dialogue has no task_summary, the model given with --model (for the `summarizer` role)
    summarises what the person wants. The summaries are stored in task-summaries next to --out.
    --budget-usd and --budget-tokens limit the cost. Repeat the command to resume from the last
    checkpoint, or to write missing output files.

    \b
    Example:
      convogen train oasst1.jsonl --held-out arena.jsonl --no-summaries
    """
    from convogen.models.traffic.budget import NO_LIMITS
    from convogen.training.tuning import check_plan, fine_tune

    plan = _plan(train, held_out, **given)
    if plan.scenes and (models or base_urls or prices or no_summaries or limits != NO_LIMITS):
        raise click.UsageError(
            "--model, --base-url, --price, --budget-usd, --budget-tokens and --no-summaries "
            "require --learn inquirer"
        )
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(train).stem)
    folder = out or Path("runs") / f"train-{stem}"[:80]
    check_plan(plan, folder)
    try:
        if not (plan.scenes or no_summaries):
            spec = spec_from("summarizer", models, base_urls, prices)
            plan = _with_tasks(plan, folder.parent / "task-summaries", spec, limits)
        with _shown() as progress:
            manifest = fine_tune(plan, folder, fresh, progress)
    except KeyboardInterrupt:
        say(f"stopped; to resume: {again()}", err=True)
        raise
    _print(manifest, folder)


def _plan(
    train: str,
    held_out: str,
    *,
    base: str,
    file: Path | None,
    settings: tuple[str, ...],
    start: Path | None,
    train_format: str | None,
    held_out_format: str | None,
    licence: str | None,
    merge: bool,
    gguf: bool,
    learn: str,
    agent_prompt: Path | None,
    encounter_prompt: Path | None,
    max_words: int | None,
    **overrides: int | None,
) -> TrainingPlan:
    """Return the training plan given on the command line.

    `overrides` contains the settings that have their own options.
    """
    from convogen.cli.run import read_settings
    from convogen.training.scenes import SceneForm
    from convogen.training.settings import Settings
    from convogen.training.tuning import TrainingPlan

    form = SceneForm(agent_prompt, max_words, encounter_prompt)
    if learn == "inquirer" and form != SceneForm():
        raise click.UsageError(
            "--agent-prompt, --encounter-prompt and --max-words require --learn agents"
        )
    own = {key: value for key, value in overrides.items() if value is not None}
    return TrainingPlan(
        base=base,
        train=train,
        held_out=held_out,
        settings=Settings.load(file, {**read_settings(settings), **own}),
        formats=(train_format, held_out_format),
        licence=licence,
        merge=merge,
        gguf=gguf,
        scenes=form if learn == "agents" else None,
        start=start,
    )


def _with_tasks(plan: TrainingPlan, folder: Path, spec: ModelSpec, limits: Limits) -> TrainingPlan:
    """Return the plan with task summaries; missing summaries are generated."""
    from convogen.downstream.task_summaries import write_tasks
    from convogen.models.progress import RunProgress
    from convogen.training.tuning import without_task

    if not (seeds := without_task(plan)):
        return plan
    say(
        f"{counted(len(seeds), 'dialogue')} without a task_summary will be summarised by "
        f"{spec.identity}; choose another model with --model NAME, or train without summaries with "
        "--no-summaries",
        err=True,
    )
    tally = RunProgress()
    with _shown() as progress:
        tally.on_line = lambda line: say(line, err=True)
        progress("task summaries", 0, len(seeds))
        tasks = write_tasks(seeds, spec, folder, tally=tally, limits=limits)
    if calls := tally.counts["calls"]:
        say(
            f"{counted(calls, 'call')}, {counted(tally.counts['tokens'], 'token')}; summaries are "
            f"stored in {folder}",
            err=True,
        )
    return replace(plan, tasks=tasks)


@contextmanager
def _shown() -> Generator[Progress]:
    """Show a progress bar for each stage; without a terminal, print the name of the stage."""
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Bars(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total or None)
                if not console.is_terminal:
                    say(stage, err=True)
            bar.update(tasks[stage], completed=done)

        yield show


def _print(manifest: TrainingManifest, folder: Path) -> None:
    from convogen.training.tuning import ADAPTER

    data, found = manifest["data"], manifest["perplexity"]
    for name, part in (("trained on", data["train"]), ("held out", data["held_out"])):
        say(f"{name}: {_counts(part)}")
        if untold := part.get("without_task"):
            say(f"{name}: {counted(untold, 'dialogue')} without a task")
    if data["shared_left_out"]:
        shared = counted(data["shared_left_out"], "dialogue")
        say(f"left out of training because they are also in the held-out corpus: {shared}")
    before, after = found["before"]["value"], found["after"]["value"]
    say(
        f"held-out perplexity of the target turns: {before:.3f} before training, {after:.3f} after "
        "training"
    )
    for path in (folder / "adapter", folder / "merged", *folder.glob("*.gguf")):
        if path.exists():
            whole = path.suffix == ".gguf" and path.name != ADAPTER
            use = f"; use it with --model {path}" if whole else ""
            say(f"{path}{use}")


def _counts(part: SourceCounts) -> str:
    return (
        f"{counted(part['dialogues'], 'dialogue')}, {counted(part['samples'], 'sample')}, "
        f"{counted(part['tokens'], 'token')}, "
        f"{part['targets']:,} of them targets; {part['truncated']:,} truncated "
        f"({counted(part['cut_targets'], 'target')} lost), {part['without_target']:,} without a "
        "target"
    )
