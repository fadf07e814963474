"""Playing one task, and where the tasks of a run are played: in this process or by workers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from convogen.engine.task_setup import name_task, play_task, writing_language
from convogen.experiment.experiment import Experiment
from convogen.gates.pipeline import check_gates
from convogen.methods.base import Play, RunInputs, Task
from convogen.models.base import ChatModel
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.tracing import span
from convogen.models.traffic.router import Traffic
from convogen.storage.run_folder import Journal, Outcome, Run, RunStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Played", "Player", "PlayerContext", "Workers", "local_player", "play_one", "start_play"]


@dataclass(frozen=True, slots=True)
class Played:
    """The outcome of a task, and the journal of its calls."""

    outcome: Outcome
    journal: Journal


@dataclass(frozen=True, slots=True)
class PlayerContext:
    """One start of a run, for whatever plays its tasks; `begun` is when the run first started."""

    experiment: Experiment
    store: RunStore
    traffic: Traffic
    tally: RunProgress
    begun: str


class Player(Protocol):
    """Plays the tasks of a run concurrently."""

    async def play(self, number: int) -> Played:
        """Return a task's outcome; raises what stops the run."""
        ...

    def committed(self, number: int, outcome: Outcome) -> None:
        """Record that a task's rows are in the run folder."""
        ...


class Workers(Protocol):
    """Processes that play a run's tasks in place of this one."""

    def check(self, experiment: Experiment) -> None:
        """Raise `UserError` if the workers cannot play an experiment."""
        ...

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the local stand-in for a model that they call."""
        ...

    def player(self, context: PlayerContext) -> AbstractAsyncContextManager[Player]:
        """Start them; they stop at the end of the block."""
        ...


@asynccontextmanager
async def local_player(context: PlayerContext) -> AsyncGenerator[Player]:
    """Play tasks in this process."""
    store = context.store
    yield _LocalPlayer(context, start_play(context.experiment, Run(store.folder), store.committed))


class _LocalPlayer:
    def __init__(self, context: PlayerContext, play: Play) -> None:
        self._context = context
        self._play = play

    async def play(self, number: int) -> Played:
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
        return Played(outcome, journal)

    def committed(self, number: int, outcome: Outcome) -> None:
        self._play.committed(number)


def start_play(experiment: Experiment, run: Run, committed: int) -> Play:
    """Return the play of a run whose first tasks are committed; `run` is its folder."""
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
    """Return a task's outcome after its own gates; `count` counts its calls and retries."""
    name, seed = name_task(experiment.fingerprint, number)
    writing = writing_language(experiment.method, seed)
    session = traffic.session(number, seed, journal, begun, writing)
    task = Task(number, name, seed, session, count)
    with span("task", task=number):
        return await check_gates(experiment.gates, await play_task(play, task), session)
