"""Functions that play a run's tasks, in this process or in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convogen.engine.task_setup import name_task, play_task, writing_language
from convogen.engine.workers import Done
from convogen.experiment.experiment import Experiment
from convogen.gates.pipeline import check_gates
from convogen.methods.base import Play, RunInputs, Task
from convogen.models.progress import RunProgress
from convogen.models.tracing import span
from convogen.models.traffic.router import Traffic
from convogen.storage.run_folder import Journal, Outcome, Run, RunStore

__all__ = ["LocalPlayer", "PlayerContext", "play_one", "start_play"]


@dataclass(frozen=True, slots=True)
class PlayerContext:
    """The context of one invocation of a run. `begun` is the time when the run was first
    started."""

    experiment: Experiment
    store: RunStore
    traffic: Traffic
    tally: RunProgress
    begun: str


class LocalPlayer:
    """A player that plays tasks in this process."""

    def __init__(self, context: PlayerContext) -> None:
        store = context.store
        self._context = context
        self._play = start_play(context.experiment, Run(store.folder), store.committed)

    async def do(self, number: int, given: Any = None) -> Done[Outcome]:
        """Play a task and return its outcome."""
        del given
        context, journal = self._context, self._context.store.journal(number)
        outcome = await play_one(
            context.experiment,
            self._play,
            number,
            traffic=context.traffic,
            journal=journal,
            begun=context.begun,
            count=context.tally.add,
        )
        return Done(outcome, journal)

    def committed(self, number: int, result: Outcome) -> None:
        """Register that a task has been committed."""
        del result
        self._play.committed(number)


def start_play(experiment: Experiment, run: Run, committed: int) -> Play:
    """Return a run's play, in the state after the run's first `committed` tasks."""
    seed = int(experiment.fingerprint, 16)
    inputs = RunInputs(seed, experiment.common.seed, experiment.prompts, run)
    play = experiment.method.start(inputs)
    play.restore(committed)
    return play


async def play_one(
    experiment: Experiment,
    play: Play,
    number: int,
    *,
    traffic: Traffic,
    journal: Journal,
    begun: str,
    count: Callable[[str], None],
) -> Outcome:
    """Play a task, apply the gates that check single tasks, and return the outcome.

    `count` counts events such as turns.
    """
    name, seed = name_task(experiment.fingerprint, number)
    writing = writing_language(experiment.method, seed)
    session = traffic.session(number, seed, journal, begun, writing)
    task = Task(number, name, seed, session, count)
    with span("task", task=number):
        return await check_gates(experiment.gates, await play_task(play, task), session)
