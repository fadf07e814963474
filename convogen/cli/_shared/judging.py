"""Judging of runs with a progress bar and messages, shared by several commands."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.options import stopped
from convogen.cli._shared.terminal import say
from convogen.text.counting import counted as number_of

if TYPE_CHECKING:
    from convogen.engine.workers import Workers
    from convogen.judges import Judge
    from convogen.judges.reference_dialogues import ReferenceDialogues
    from convogen.models.progress import RunProgress
    from convogen.models.spec import ModelSpec
    from convogen.models.traffic.budget import Limits
    from convogen.storage.run_folder import Run

__all__ = ["judge_runs"]


def judge_runs(
    runs: Iterable[tuple[Run, ReferenceDialogues | None]],
    judge: Judge,
    spec: ModelSpec,
    n: int | None = None,
    concurrency: int | None = None,
    fresh: bool = False,
    workers: Workers | None = None,
    *,
    limits: Limits,
) -> None:
    """Judge runs one after another, each with its reference dialogues; all runs share the limits.

    All runs are checked before the first model call, so that mistakes are reported early.
    """
    from convogen.engine.judge_runner import count_scores, is_given, judge_run
    from convogen.engine.run_budget import limits_beside, role_prices
    from convogen.errors import Hopeless
    from convogen.judges.base import ROLE
    from convogen.models.progress import RunProgress

    prices = role_prices({ROLE: spec}, limits)
    if spec.is_shipped:
        say(
            "the judge is the embedded SmolLM2-135M model, whose scores mean little; choose "
            "another model with --model",
            err=True,
        )
    counted = [(run, beside, count_scores(run, judge, n, beside)) for run, beside in runs]
    for at, (run, beside, total) in enumerate(counted):
        tally = RunProgress()
        others = [one for one, _, _ in counted[:at] + ([] if fresh else counted[at + 1 :])]
        left = limits_beside(limits, (one.ledger(judge.name) for one in others), prices)
        try:
            with _live(run, total, tally):
                judge_run(
                    run,
                    judge,
                    spec,
                    references=beside,
                    n=n,
                    concurrency=concurrency,
                    fresh=fresh,
                    tally=tally,
                    workers=workers,
                    limits=left,
                )
        except KeyboardInterrupt:
            done = f"{tally.counts['scores']} of {number_of(total, 'score')} for {run.folder}"
            say(stopped(done, tally.counts), err=True)
            sys.exit(130)
        scores = list(islice(run.scores(judge.name), total))
        if scores and not any(is_given(score) for score in scores):
            raise Hopeless(
                f"{run.folder}: {number_of(len(scores), 'score')} requested, but none obtained "
                f"(last reason: {scores[-1].reason}); use another judge or model, and add --fresh "
                "to score again"
            )


@contextmanager
def _live(run: Run, total: int, tally: RunProgress) -> Generator[None]:
    """Show a progress bar for the scores on a terminal; otherwise print only the reasons for
    delays."""
    from rich.live import Live
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from convogen.cli._shared.display import print_notices
    from convogen.visible import visible

    console = terminal(stderr=True)
    if not console.is_terminal:
        print_notices(tally)
        yield
        return
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        "scores, left",
        TimeRemainingColumn(),
        "{task.fields[tokens]:,} tokens",
        TextColumn("{task.fields[notice]}", markup=False),
    )
    tally.on_line = lambda line: console.print(styled((line, "yellow")))
    bar = progress.add_task(visible(run.folder), total=total, tokens=0, notice="")

    def draw() -> Progress:
        counts = tally.counts
        notice = visible(tally.notice)
        progress.update(bar, completed=counts["scores"], tokens=counts["tokens"], notice=notice)
        return progress

    with Live(get_renderable=draw, console=console, refresh_per_second=4):
        yield
