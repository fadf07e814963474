"""Replay of a run from its recorded calls alone, to check that the data set is byte-identical.

Tasks are played sequentially with the ids and seeds of the recorded run, even if the experiment's
files have changed. If a prompt has changed, the first call that contains it differs from the
record. The result does not depend on the order in which tasks originally ran.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from convogen.engine.ordered_tasks import run_until_complete
from convogen.engine.run_observability import log_outcome, observe_run
from convogen.engine.task_setup import (
    describe,
    name_task,
    now,
    open_roles,
    play_task,
    writing_language,
)
from convogen.errors import RunFolderError
from convogen.experiment.experiment import Experiment
from convogen.gates import GateLine
from convogen.inputs.text_file import open_file
from convogen.jsonl import parse_row
from convogen.methods.base import RunInputs, Task
from convogen.models.progress import RunProgress
from convogen.models.traffic.recorded import NoModel, NotRecorded, RecordedJournal
from convogen.models.traffic.router import Traffic
from convogen.storage.remote.shown import shown
from convogen.storage.run_folder import Outcome, Run, RunStore, differences, load_run

__all__ = ["Difference", "Replayed", "recorded_run", "replay_run"]

DATA = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "rejected.jsonl")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between a replay and its run: the task, the id of the task's record, and
    a description."""

    task: int
    record: str
    what: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay. `difference` is None if the data set is byte-identical.

    `n_calls` is the number of calls that were answered from the record. `changed` describes changes
    in the inputs that determine the data; it is None if no input has changed.
    """

    n_conversations: int
    n_failures: int
    n_rejected: int
    n_calls: int
    difference: Difference | None
    changed: str | None


def replay_run(
    folder: str | Path, out: str | Path | None = None, *, tally: RunProgress | None = None
) -> Replayed:
    """Replay a run's committed tasks from their recorded calls, without calling a model.

    The result is compared with the run row by row, up to the first difference.

    Args:
        folder: Folder of the run.
        out: Run folder for the result, which must not exist. If None, the result is discarded.
        tally: Progress counts to update.

    Raises:
        RunFolderError: If the run has no recorded calls, or if `out` exists.
    """
    run = recorded_run(folder)
    with ExitStack() as stack:
        if out is None:
            target = Path(stack.enter_context(TemporaryDirectory(prefix="convogen-replay-")))
        elif (target := Path(out)).exists():
            raise RunFolderError(f"{target}: already exists; choose a new folder with --out")
        return run_until_complete(_replay(run, target, tally or RunProgress()))


def recorded_run(folder: str | Path) -> Run:
    """Open a run; raise `RunFolderError` if it has no recorded calls of its own."""
    run = load_run(folder)
    origin = run.manifest.get("replay_of")
    if isinstance(origin, dict) and "conversation" in origin:
        raise RunFolderError(
            f"{run.folder} is itself the replay of a conversation; replay the run that its "
            f"manifest.json names"
        )
    found = run.check()
    if found.committed and not found.counts[run.folder / "calls.jsonl"]:
        raise RunFolderError(
            f"{run.folder}: calls.jsonl is missing or empty, so there are no recorded calls to "
            "replay; restore the file"
        )
    return run


async def _replay(run: Run, target: Path, tally: RunProgress) -> Replayed:
    source = run.manifest
    fingerprint = str(source.get("fingerprint"))
    experiment = Experiment.load(run.folder / "experiment.yaml")
    changed = None
    if experiment.fingerprint != fingerprint:
        changed = differences(source.get("experiment"), experiment.fingerprint_inputs)
    origin = {"run": shown(str(run.folder.resolve())), "fingerprint": fingerprint}
    manifest = describe(experiment) | {"fingerprint": fingerprint, "replay_of": origin}
    total = run.check().committed
    store = RunStore.open(target, fingerprint, experiment.to_yaml(), manifest)
    try:
        with observe_run(experiment, store):
            replay = _Replay(run, experiment, fingerprint, store, tally)
            while replay.difference is None and store.committed < total:
                await replay.task(store.committed)
        whole = replay.difference is None
        store.note({"complete": whole and source.get("complete") is True, "ended_at": now()})
    finally:
        store.close()
    return Replayed(
        n_conversations=store.n_conversations,
        n_failures=store.n_failures,
        n_rejected=store.n_rejected,
        n_calls=replay.n_calls,
        difference=replay.difference,
        changed=changed,
    )


class _Replay:
    def __init__(
        self,
        run: Run,
        experiment: Experiment,
        fingerprint: str,
        store: RunStore,
        tally: RunProgress,
    ) -> None:
        self._run, self._store, self._tally = run, store, tally
        self._fingerprint = fingerprint
        self._traffic = Traffic(open_roles(experiment), 1, tally, lambda _: NoModel())
        seeds = int(fingerprint, 16), experiment.common.seed
        inputs = RunInputs(*seeds, experiment.prompts, Run(store.folder))
        self._method = experiment.method
        self._play = self._method.start(inputs)
        self._gates = GateLine(experiment.gates, inputs.run)
        self._rows = {name: _Rows(run.folder / name) for name in DATA}
        self.difference: Difference | None = None
        self.n_calls = 0

    async def task(self, number: int) -> None:
        """Play a task, commit it, and compare it with the record. A task with an unrecorded call is
        not committed."""
        calls = self._run.calls(number)
        recorded = {name: rows.of(number) for name, rows in self._rows.items()}
        journal = RecordedJournal(self._store.journal(number).path, calls)
        name, seed = name_task(self._fingerprint, number)
        writing = writing_language(self._method, seed)
        session = self._traffic.session(number, seed, journal, writing=writing)
        try:
            task = Task(number, name, seed, session, self._tally.add)
            outcome = await play_task(self._play, task)
            outcome = self._gates.decide(await self._gates.check(outcome, session))
        except NotRecorded as fault:
            self.difference = Difference(number, _id(recorded), str(fault))
            return
        self._store.commit(number, outcome, journal)
        self._play.committed(number)
        self._gates.committed(outcome)
        log_outcome(number, outcome)
        self._tally.add(outcome.row[0])
        self.n_calls += len(journal.asked)
        what = _other_calls(calls, journal.asked) or _other_rows(recorded, outcome)
        self.difference = Difference(number, _id(recorded), what) if what else None


class _Rows:
    """The rows in a file, in the order of their tasks and with at most one row per task."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._read()
        self._next = next(self._lines, None)

    def _read(self) -> Iterator[tuple[int, bytes]]:
        if self._path.exists():
            with open_file(self._path) as lines:
                for number, line in enumerate(lines, 1):
                    where = f"{self._path} line {number}"
                    yield parse_row(where, line, "task")["task"], line

    def of(self, task: int) -> bytes | None:
        """Return a task's row, or None if the task has no row. Tasks must be requested in order."""
        if self._next is None or self._next[0] != task:
            return None
        line = self._next[1]
        self._next = next(self._lines, None)
        return line


def _id(recorded: Mapping[str, bytes | None]) -> str:
    row = next((row for name in DATA[1:] if (row := recorded[name])), b"{}")
    return str(json.loads(row).get("id"))


def _other_calls(recorded: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> str | None:
    """Describe the first call that differs from the record; return None if all calls agree."""
    keys = [call["key"] for call in recorded]
    for nth, (old, new) in enumerate(zip_longest(keys, asked), 1):
        if old != new:
            role = recorded[nth - 1]["role"] if nth <= len(keys) else "missing"
            return f"call {nth}, recorded as a call to the {role}, " + (
                "was not made" if new is None else "differs"
            )
    return None


def _other_rows(recorded: Mapping[str, bytes | None], outcome: Outcome) -> str | None:
    """Describe the first row that differs although the calls agree; return None if no row
    differs."""
    found = (outcome.experience, outcome.conversation, outcome.failure, outcome.rejected)
    for (name, then), record in zip(recorded.items(), found, strict=True):
        line = None if record is None else record.to_line()
        if then != line:
            old, new = json.loads(then or b"{}"), json.loads(line or b"{}")
            keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            return f"the calls agree, but the row in {name} differs in {', '.join(keys)}"
    return None
