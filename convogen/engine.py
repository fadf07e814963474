"""Running an experiment: tasks are played concurrently and committed in the order of the plan.

As many tasks are under way as conversations are still missing, up to a window; each that fails
makes room for one more, so a run ends with exactly n conversations, or at its limit of failures.
No task is started that might not be needed, and the dataset is the same at any concurrency.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import platform
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convogen import __version__
from convogen.errors import TooManyFailures
from convogen.experiment import Experiment
from convogen.inorder import WINDOW, InOrder, run_to_end
from convogen.log import run_log
from convogen.masking import public_url
from convogen.methods.base import Play, RunInputs, Task
from convogen.models.base import ChatModel
from convogen.models.spec import ModelSpec
from convogen.models.tracing import span
from convogen.models.traffic import Role, Tally, Traffic, open_model
from convogen.store import Journal, Outcome, Run, RunStore, load_run

__all__ = ["run", "run_async"]

LOG = logging.getLogger(__name__)
PACKAGES = ("autogen-agentchat", "openai", "pydantic", "xllamacpp")


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    tally: Tally | None = None,
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
) -> Run:
    """Run an experiment into a folder (default `runs/<name>`), or finish a run begun there.

    `fresh` moves an earlier run in the folder aside first. `tally` counts what is done while it
    is done. `open_model` makes the model of a spec. Raises `UserError` for what can be mended
    beforehand and `RunStopped` where the run ended early; in either case what was answered is
    kept, and calling again goes on from there.
    """
    arguments = run_async(experiment, out, fresh=fresh, tally=tally, open_model=open_model)
    return run_to_end(arguments)


async def run_async(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    tally: Tally | None = None,
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
) -> Run:
    """`run` for callers that have an event loop; cancelling it stops the run cleanly."""
    folder = Path(out) if out is not None else Path("runs") / experiment.name
    fingerprint = experiment.fingerprint
    tally = tally or Tally()
    roles = open_roles(experiment, open_model)
    traffic = Traffic(roles, experiment.concurrency, tally)
    store: RunStore | None = None
    try:
        if fresh:
            move_aside(folder)
        store = RunStore.open(folder, fingerprint, experiment.to_yaml(), describe(experiment))
        tally.add("conversations", store.n_conversations)
        tally.add("failures", store.n_failures)
        with observed(experiment, store):
            await _Engine(experiment, store, traffic, tally).run()
        store.note({"complete": True, "ended_at": now()})
    finally:
        await traffic.close()
        if store is not None:
            store.close()
    return load_run(folder)


@dataclass(frozen=True, slots=True)
class _Played:
    outcome: Outcome
    journal: Journal


class _Engine:
    """One start of a run."""

    def __init__(
        self, experiment: Experiment, store: RunStore, traffic: Traffic, tally: Tally
    ) -> None:
        self._experiment = experiment
        self._store = store
        self._traffic = traffic
        self._tally = tally
        self._window = WINDOW * experiment.concurrency + 16

    async def run(self) -> None:
        """Play until n conversations are committed; raises `RunStopped` where that cannot be."""
        store, n = self._store, self._experiment.n
        if store.n_conversations >= n:
            return
        play = self._start()
        line = InOrder(lambda number: self._play(play, number), store.committed)
        try:
            while store.n_conversations < n:
                self._check_failures()
                # Never more under way than the conversations that are still missing.
                self._commit(await line.next(min(n - store.n_conversations, self._window)))
        finally:
            await line.stop()

    def _start(self) -> Play:
        experiment, store = self._experiment, self._store
        seed = int(experiment.fingerprint, 16)
        play = experiment.method.start(RunInputs(seed=seed, prompts=experiment.prompts))
        play.restore(store.committed, store.experiences())
        return play

    async def _play(self, play: Play, number: int) -> _Played:
        journal = self._store.journal(number)
        name, seed = name_task(self._experiment.fingerprint, number)
        session = self._traffic.session(number, seed, journal)
        task = Task(number, name, seed, session, self._tally.add)
        with span("task", task=number):
            return _Played(await play.play(task), journal)

    def _commit(self, played: _Played) -> None:
        number = self._store.committed
        self._store.commit(number, played.outcome, played.journal)
        log_outcome(number, played.outcome)
        done = "failures" if played.outcome.conversation is None else "conversations"
        self._tally.add(done)

    def _check_failures(self) -> None:
        failed, limit = self._store.n_failures, self._experiment.max_failures
        if failed > limit:
            raise TooManyFailures(
                f"{failed} tasks failed, more than max_failures: {limit}; "
                f"`convogen show {self._store.folder}` says why; "
                f"to go on: --set max_failures={failed + max(10, limit)}"
            )


def name_task(fingerprint: str, number: int) -> tuple[str, int]:
    """A task's id, 16 hexadecimal digits, and its seed: from the run's fingerprint alone."""
    digest = hashlib.blake2b(f"{fingerprint}/{number}".encode(), digest_size=8).digest()
    return digest.hex(), int.from_bytes(digest)


@contextmanager
def observed(experiment: Experiment, store: RunStore) -> Generator[None]:
    """Log and trace one start of a run."""
    began = time.perf_counter()
    facts = {"name": experiment.name, "fingerprint": store.fingerprint, "n": experiment.n}

    def state() -> dict[str, Any]:
        rows = {"conversations": store.n_conversations, "failures": store.n_failures}
        return {**rows, "seconds": round(time.perf_counter() - began, 3)}

    with run_log(store.folder / "log.jsonl"), span("run", **facts):
        manifest = store.manifest
        described = {key: manifest.get(key) for key in ("packages", "models")}
        bound = {"concurrency": experiment.concurrency}
        LOG.info("start", extra={"run": facts, **described, **bound, **state()})
        try:
            yield
        except BaseException as error:
            ended = {"error": type(error).__name__, "detail": str(error)}
            LOG.warning("stopped", extra={**ended, **state()})
            raise
        LOG.info("complete", extra=state())


def log_outcome(task: int, outcome: Outcome) -> None:
    """Log what a task gave: failures and repairs always, the rest for those who debug."""
    failure, conversation = outcome.failure, outcome.conversation
    if failure is not None:
        facts = failure.model_dump(include={"id", "stage", "kind", "message"})
        facts["detail"] = facts.pop("message")
        LOG.info("failure", extra={"task": task, **facts})
    turns = conversation.turns if conversation else []
    repairs = {
        "experience": outcome.experience.repairs if outcome.experience else [],
        "selector": [t.selection.repair for t in turns if t.selection and t.selection.repair],
        "asked_again": [reason for turn in turns for reason in turn.reasks],
    }
    if any(repairs.values()):
        LOG.info("repairs", extra={"task": task, **repairs})
    LOG.debug("commit", extra={"task": task, "turns": len(turns)})


def open_roles(
    experiment: Experiment, open_model: Callable[[ModelSpec], ChatModel]
) -> dict[str, Role]:
    """A model for each role; roles that name the same model share it."""
    models: dict[str, ChatModel] = {}
    roles: dict[str, Role] = {}
    for role in experiment.method.roles:
        spec = experiment.model(role)
        key = spec.model_dump_json()
        if key not in models:
            models[key] = open_model(spec)
        roles[role] = Role(models[key], spec, experiment.sampling(role))
    return roles


def move_aside(folder: Path) -> Path | None:
    """Rename a run folder to one with the time behind its name; returns the new one."""
    if not (folder / "manifest.json").exists():
        return None
    stamp = time.strftime("%Y%m%dT%H%M%S")
    aside = folder.with_name(f"{folder.name}.{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = folder.with_name(f"{folder.name}.{stamp}-{count}")
    RunStore.check_free(folder)
    folder.rename(aside)
    return aside


def describe(experiment: Experiment) -> dict[str, Any]:
    """What is needed to know how a dataset was made; no key, no password."""
    packages = {"convogen": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "name": experiment.name,
        "fingerprint": experiment.fingerprint,
        "n": experiment.n,
        "complete": False,
        "started_at": now(),
        "packages": packages,
        "models": {role: _described(experiment.model(role)) for role in experiment.method.roles},
        "experiment": experiment.essence,
    }


def _described(spec: ModelSpec) -> Mapping[str, str]:
    described = {"name": spec.identity, "kind": spec.kind}
    if spec.base_url:
        described["base_url"] = public_url(spec.base_url)
    return described


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
