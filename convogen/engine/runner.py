"""Execution of an experiment. Tasks are played concurrently and committed in the order of the plan.

The number of tasks in flight is the number of missing conversations, up to a maximum. A task that
fails or whose conversation a gate rejects is replaced, so a run ends when it has exactly n
conversations, or when it exceeds its limit on failures or rejections. Under a budget, new tasks
start only while the remaining budget covers them, so that the money pays for finished
conversations. If a method has a finite plan, no task is replaced, and each of the n tasks is played
once. A task is started only if it is certain to be needed, so the data set does not depend on the
concurrency.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from convogen.engine.hopeless import FirstTasks, Way
from convogen.engine.ordered_tasks import WINDOW, OrderedTaskRunner, run_until_complete
from convogen.engine.playing import LocalPlayer, PlayerContext
from convogen.engine.run_budget import charge_earlier_spending, describe_budget_stop, role_prices
from convogen.engine.run_observability import log_outcome, observe_run
from convogen.engine.task_setup import describe, now, open_roles
from convogen.engine.workers import Done, TaskDoer, Workers
from convogen.errors import BudgetReached, RunFolderError, TooManyFailures, TooManyRejected
from convogen.experiment.experiment import Experiment
from convogen.gates import GateLine
from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.admission import AdmissionQueue
from convogen.models.traffic.budget import Budget, Limits
from convogen.models.traffic.provenance import last_calls, moved
from convogen.models.traffic.router import Traffic
from convogen.records import Conversation, Experience
from convogen.storage.remote.address import is_url
from convogen.storage.remote.mirrors import run_folder
from convogen.storage.run_folder import Outcome, Run, RunStore, run_manifest
from convogen.storage.task_log import moved_aside
from convogen.storage.waiting import drop, forget, keep
from convogen.suggested import suggested

__all__ = ["OnConversation", "run", "run_async"]

PRICED = 2
"""Number of tasks that must end before their cost is used to predict how many more tasks the budget
covers."""

UNPRICED = 8
"""Maximum number of tasks in flight under a budget until `PRICED` tasks have ended."""

UNTRIED = 16
"""Maximum number of tasks in flight until a task has succeeded."""

OnConversation = Callable[[Conversation, Experience | None], None]


def run(
    experiment: Experiment | str | Path,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    limits: Limits | None = None,
    pilot: int | None = None,
    tally: RunProgress | None = None,
    on_conversation: OnConversation | None = None,
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
    workers: Workers | None = None,
) -> Run:
    """Run an experiment into a folder, or resume the run in the folder.

    Args:
        experiment: The experiment, the name of a shipped experiment, or the path of a YAML file.
        out: The run folder, or its URL in an object store (`s3://…`). Default: `runs/<name>`.
        fresh: Whether to move an earlier run in the folder aside first.
        limits: Limits on the cost of the whole folder, and the deadline for this invocation.
        pilot: Number of conversations in the folder at which this invocation stops, if fewer than
            n. Default: n.
        tally: Progress counts to update.
        on_conversation: Function that is called with each committed conversation and its
            experience.
        open_model: Function that creates the model that a spec describes.
        workers: Processes that play the tasks instead of this process
            (`convogen.engine.distributed.ray_cluster.RayWorkers`).

    Returns:
        The run, which is read-only.

    Raises:
        UserError: If there is a mistake that the user can correct. Nothing is lost.
        RunStopped: If the run ended early. All replies are kept, and calling the function again
            resumes the run.
    """
    arguments = run_async(
        experiment,
        out,
        fresh=fresh,
        limits=limits,
        pilot=pilot,
        tally=tally,
        on_conversation=on_conversation,
        open_model=open_model,
        workers=workers,
    )
    return run_until_complete(arguments, "run_async")


async def run_async(
    experiment: Experiment | str | Path,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    limits: Limits | None = None,
    pilot: int | None = None,
    tally: RunProgress | None = None,
    on_conversation: OnConversation | None = None,
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
    workers: Workers | None = None,
) -> Run:
    """Run an experiment like `run`, but inside a running event loop.

    Cancellation stops the run cleanly.
    """
    if out is not None and not str(out).strip():
        raise RunFolderError(
            "the name of the run folder is empty; give a name, or omit it for the default"
        )
    if fresh and is_url(out):
        raise RunFolderError(
            f"{out}: a run in an object store cannot be moved aside; choose another URL"
        )
    if not isinstance(experiment, Experiment):
        experiment = Experiment.load(experiment)
    async with run_folder(out or Path("runs") / experiment.name) as folder:
        return await _run_into(
            folder,
            experiment,
            fresh=fresh,
            limits=limits or Limits(),
            pilot=pilot,
            tally=tally or RunProgress(),
            on_conversation=on_conversation,
            open_model=open_model,
            workers=workers,
        )


async def _run_into(
    folder: Path,
    experiment: Experiment,
    *,
    fresh: bool,
    limits: Limits,
    pilot: int | None,
    tally: RunProgress,
    on_conversation: OnConversation | None,
    open_model: Callable[[ModelSpec], ChatModel],
    workers: Workers | None,
) -> Run:
    """Run an experiment into a local folder."""
    experiment.check_languages()
    if workers is not None:
        workers.check(experiment.model(role) for role in experiment.roles)
        open_model = workers.open_model
    fingerprint = experiment.fingerprint
    models = {role: experiment.model(role) for role in experiment.roles}
    gate = AdmissionQueue(Budget(limits, role_prices(models, limits)))
    traffic = Traffic(open_roles(experiment), experiment.concurrency, tally, open_model, gate)
    store: RunStore | None = None
    try:
        if fresh:
            move_aside(folder)
        before = earlier_models(folder)
        described = describe(experiment)
        store = RunStore.open(
            folder, fingerprint, experiment.to_yaml(), described, experiment.is_read_from
        )
        tally.add("conversations", store.n_conversations)
        tally.add("failures", store.n_failures)
        tally.add("rejected", store.n_rejected)
        charge_earlier_spending(gate.budget, store)
        traffic.provenance.earlier(last_calls(folder / "ledger.jsonl"))
        if line := moved(before, store.manifest.get("models", {})):
            tally.say(line)
        wanted = experiment.n if pilot is None else min(pilot, experiment.n)
        with observe_run(experiment, store):
            async with gate.until_deadline():
                engine = _Engine(
                    experiment,
                    store,
                    traffic=traffic,
                    tally=tally,
                    budget=gate.budget,
                    workers=workers,
                    on_conversation=on_conversation,
                )
                await engine.run(wanted)
        if _done(experiment, store) >= experiment.n or _exhausted(experiment, store):
            store.note({"complete": True, "ended_at": now()})
    except BudgetReached as reached:
        assert store is not None
        raise describe_budget_stop(reached, store, experiment.n) from None
    finally:
        await traffic.close()
        if store is not None:
            store.close()
    return Run(folder)


class _Engine:
    """One invocation of a run."""

    def __init__(
        self,
        experiment: Experiment,
        store: RunStore,
        *,
        traffic: Traffic,
        tally: RunProgress,
        budget: Budget,
        workers: Workers | None,
        on_conversation: OnConversation | None,
    ) -> None:
        self._on_conversation = on_conversation
        self._budget = budget
        self._experiment = experiment
        self._store = store
        self._traffic = traffic
        self._tally = tally
        self._workers = workers
        self._gates = GateLine(experiment.gates, Run(store.folder))
        self._window = WINDOW * experiment.concurrency + 16
        self._kept: set[int] = set()
        self._asking = {gate.name for gate in experiment.gates if gate.roles}
        self._decisive = {gate.name for gate in experiment.gates if gate.rejections_are_failures}
        afterwards = _afterwards(experiment, store)
        self._first = FirstTasks(
            UNTRIED, "tasks", set_key=_setting, afterwards=afterwards, unheard=traffic.unheard
        )
        self._first.hopeful = store.n_conversations + store.n_rejected > 0
        self._first.all_may_fail = _may_all_fail(experiment)

    async def run(self, n: int) -> None:
        """Play until n conversations, or all tasks of the plan, are committed.

        Raises:
            RunStopped: If the run must end early.
        """
        store, experiment = self._store, self._experiment
        if _done(experiment, store) >= n or _exhausted(experiment, store):
            return
        self._kept = drop(store.folder, store.committed)
        self._gates.restore()
        begun = f"{store.manifest.get('started_at', '')}"
        context = PlayerContext(experiment, store, self._traffic, self._tally, begun)
        async with _player(context, self._workers) as player:
            drain = None if self._workers else self._traffic.drain
            play = partial(self._play, player)
            async with OrderedTaskRunner(play, store.committed, drain) as line:
                while (done := _done(experiment, store)) < n and not _exhausted(experiment, store):
                    self._check_limits()
                    # Never start more tasks than there are missing conversations.
                    missing = min(n - done, self._n_remaining)
                    played = await line.next(lambda most=missing: min(most, self._most))
                    task = store.committed
                    self._commit(task, played)
                    player.committed(task, played.result)

    @property
    def _most(self) -> int:
        """The maximum number of tasks in flight: the size of the window, or less if a limit is
        set."""
        limits, store = self._budget.limits, self._store
        most = min(self._window, self._first.most or self._window)
        if limits.deadline_s is not None:
            most = min(most, self._experiment.concurrency)
        if limits.usd is None and limits.tokens is None:
            return most
        if store.committed < PRICED:
            return min(most, UNPRICED)
        return max(1, int(min(most, self._budget.affords(store.committed))))

    @property
    def _n_remaining(self) -> int:
        """The number of uncommitted tasks in the plan; the size of the window if the plan is
        infinite."""
        tasks = self._experiment.method.task_count()
        return self._window if tasks is None else tasks - self._store.committed

    async def _play(self, player: TaskDoer[Outcome], number: int) -> Done[Outcome]:
        played = await player.do(number)
        if self._way(played.result) is None:
            self._first.hopeful = True
        if number > self._store.committed:
            keep(self._store.folder, number, played.result)
            self._kept.add(number)
        return played

    def _commit(self, task: int, played: Done[Outcome]) -> None:
        outcome = self._gates.decide(played.result)
        self._store.commit(task, outcome, played.journal)
        if task in self._kept:
            forget(self._store.folder, task)
            self._kept.remove(task)
        self._gates.committed(outcome)
        log_outcome(task, outcome)
        self._tally.add(outcome.row[0])
        if self._on_conversation and outcome.conversation:
            self._on_conversation(outcome.conversation, outcome.experience)
        if (way := self._way(outcome)) is None:
            self._first.succeeded()
        else:
            self._first.failed(way, played.journal)

    def _way(self, outcome: Outcome) -> Way | None:
        """Return the way in which a task failed; None if the task succeeded.

        A task also fails if a gate's model gives no verdict, or if a gate whose rejections count as
        failures rejects the conversation.
        """
        if (failure := outcome.failure) is not None:
            return Way(failure.stage, failure.kind, failure.message)
        rejected = outcome.rejected
        if rejected is not None and rejected.gate in self._asking and rejected.value is None:
            return Way(f"gate {rejected.gate}", "nothing judged", rejected.reason)
        if rejected is not None and rejected.gate in self._decisive:
            return Way(f"gate {rejected.gate}", "rejected", rejected.reason)
        return None

    def _check_limits(self) -> None:
        failed, limit = self._store.n_failures, self._experiment.max_failures
        if failed > limit:
            raise TooManyFailures(
                f"{failed} tasks failed, but max_failures is {limit}; "
                f"`{suggested('show', self._store.folder)}` shows the reasons; to resume, use "
                f"--set max_failures={failed + max(10, limit)}"
            )
        rejected, limit = self._store.n_rejected, self._experiment.max_rejected
        if rejected > limit:
            accepted = self._store.n_conversations
            raise TooManyRejected(
                f"the gates rejected {rejected} conversations, but max_rejected is {limit}; "
                f"they accepted {accepted} of {self._experiment.n}, which is "
                f"{accepted / (accepted + rejected):.1%} of all finished conversations; "
                f"`{suggested('show', self._store.folder)}` shows the reasons; to resume, use "
                f"--set max_rejected={rejected + max(50, limit)}"
            )


def _player(
    context: PlayerContext, workers: Workers | None
) -> AbstractAsyncContextManager[TaskDoer[Outcome]]:
    """Return the object that plays the tasks, in this process or in workers."""
    if workers is None:
        return nullcontext(LocalPlayer(context))
    from convogen.engine.distributed.playing_work import PlayingJob

    return workers.start(PlayingJob(context))


def _setting(role: str, parameter: str, value: object) -> str:
    return f"--set sampling.{role}.{parameter}={value}"


def _may_all_fail(experiment: Experiment) -> bool:
    """Return whether all tasks may fail, because the user allows it or because the whole plan is in
    flight at the same time."""
    limit, tasks = experiment.common.max_failures, experiment.method.task_count()
    return (limit or 0) >= experiment.n or (tasks or UNTRIED + 1) <= UNTRIED


def _afterwards(experiment: Experiment, store: RunStore) -> str:
    return (
        f"`{suggested('show', store.folder)}` shows details; use --fresh to start over, or "
        f"--set max_failures={max(experiment.n, experiment.max_failures)} to resume anyway"
    )


def _done(experiment: Experiment, store: RunStore) -> int:
    return experiment.progress(store.n_conversations, store.n_failures + store.n_rejected)


def _exhausted(experiment: Experiment, store: RunStore) -> bool:
    return store.committed == experiment.method.task_count()


def move_aside(folder: Path) -> Path | None:
    """Append the time to a run folder's name; return the new path, or None if there is no run.

    Raises:
        RunFolderError: If the folder's manifest is not the manifest of a run.
    """
    if not (folder / "manifest.json").exists():
        return None
    run_manifest(folder)
    return moved_aside(folder)


def earlier_models(folder: Path) -> Any:
    """Return the models in an earlier invocation's manifest; None if there was no earlier
    invocation."""
    return Run(folder).manifest.get("models") if (folder / "manifest.json").exists() else None
