"""The command `convogen replay`: replay a run from its recorded model calls, or regenerate part of
a conversation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    again,
    base_url_option,
    kept_roles,
    model_option,
    models_from,
)
from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say
from convogen.storage.remote.shown import shown
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.experiment.experiment import Experiment
    from convogen.storage.run_folder import Run

__all__ = ["command"]


@click.command("replay")
@click.argument("folder", metavar="RUN", type=RunPath())
@click.option("--conversation", metavar="ID", help="Conversation to replay with new replies.")
@click.option(
    "--from-turn", type=WholeNumber(min=1), help="First turn to regenerate, counted from 1."
)
@model_option
@base_url_option
@click.option(
    "--out",
    type=OutPath(),
    help="Folder for the replay [default: none; with --conversation, a folder next to the run].",
)
def command(
    folder: Path,
    conversation: str | None,
    from_turn: int | None,
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    out: Path | None,
) -> int:
    """Replay a RUN from its recorded model calls, and check that the resulting data set is
    byte-identical to the recorded one.

    A replay of the whole run calls no model. With --conversation and --from-turn, only that
    conversation is replayed. The conversation's experience and earlier turns come from the record;
    the model given with --model (default: the run's model) writes the later turns. Repeat the
    command to resume; no model call is paid for twice.

    The exit status is 0 if the data sets are identical or the conversation was replayed, and 1 if
    the data sets differ or a model failed.
    """
    if (conversation is None) != (from_turn is None):
        raise click.UsageError("--conversation and --from-turn must be given together")
    if conversation is None or from_turn is None:
        if models or base_urls:
            raise click.UsageError("--model and --base-url require --conversation and --from-turn")
        return _whole(folder, out)
    if out is None and (url := shown(str(folder))) != str(folder):
        raise click.UsageError(
            f"{url}: the replay of a run at a URL has no default folder; specify one with --out"
        )
    return _one(folder, conversation, from_turn, _models(folder, models, base_urls), out)


def _whole(folder: Path, out: Path | None) -> int:
    from convogen.cli._shared.display import live
    from convogen.engine.replay import replay_run
    from convogen.models.progress import RunProgress

    tally = RunProgress()
    with live(_experiment(folder), tally):
        found = replay_run(folder, out, tally=tally)
    rejected = f", {found.n_rejected} rejected" if found.n_rejected else ""
    played = (
        f"{counted(found.n_conversations, 'conversation')}{rejected} and "
        f"{counted(found.n_failures, 'failure')} from "
        f"{counted(found.n_calls, 'recorded call')}"
    )
    if found.difference is None:
        say(f"{folder}: identical: {played}")
    else:
        where = f"task {found.difference.task} ({found.difference.record})"
        say(f"{folder}: differs at {where}: {found.difference.what}; before that: {played}")
    if found.changed is not None:
        say(f"changed since the run: {found.changed}")
    return 0 if found.difference is None else 1


def _one(
    folder: Path, conversation: str, from_turn: int, models: dict[str, Any] | None, out: Path | None
) -> int:
    from convogen.engine.branch import replay_conversation
    from convogen.storage.run_folder import load_run

    try:
        played = replay_conversation(folder, conversation, from_turn, out, models=models)
    except KeyboardInterrupt:
        say(f"stopped; all replies received are kept; to resume: {again()}", err=True)
        sys.exit(130)
    _print(load_run(folder), conversation, from_turn, played)
    return 0


def _models(folder: Path, models: Sequence[str], base_urls: Sequence[str]) -> dict[str, Any] | None:
    """Return the run's models with the overrides from the command line, or None if the command line
    gives no models."""
    if not (models or base_urls):
        return None
    experiment = _experiment(folder)
    own = {k: v.model_dump(exclude_defaults=True) for k, v in experiment.common.models.items()}
    roles = list(experiment.roles)
    kept = kept_roles(experiment.common.fixed_models, models, [], roles)
    return models_from(own, models, base_urls, roles, kept=kept)


def _experiment(folder: Path) -> Experiment:
    from convogen.experiment.experiment import Experiment
    from convogen.storage.run_folder import load_run

    return Experiment.load(load_run(folder).folder / "experiment.yaml")


def _print(run: Run, conversation: str, from_turn: int, played: Run) -> None:
    """Print the recorded and the new turns side by side."""
    from itertools import zip_longest

    from rich.table import Table

    console = terminal()
    old = run.conversation(conversation)
    new = next(played.conversations(), None)
    for turn in old.turns[: from_turn - 1]:
        console.print(f"{turn.speaker}: {turn.text}", style="dim")
    turns = new.turns if new is not None else []
    table = Table(show_lines=True)
    table.add_column("")
    for name, ended in (("recorded", old.ended), ("replayed", new.ended if new else "failed")):
        table.add_column(styled(f"{name}, ended by {ended}"), ratio=1)
    pairs = zip_longest(old.turns[from_turn - 1 :], turns[from_turn - 1 :])
    for nth, pair in enumerate(pairs, from_turn):
        said = [styled(f"{turn.speaker}: {turn.text}" if turn else "") for turn in pair]
        table.add_row(str(nth), *said)
    console.print(table)
    for failure in played.failures():
        console.print(styled(f"{failure.stage}: {failure.kind}: {failure.message}"))
    calls = sum(1 for _ in played.ledger())
    console.print(styled(f"{counted(calls, 'call')}; written to {played.folder}"))
