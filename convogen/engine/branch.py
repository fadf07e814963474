"""Replay of one conversation in a run, with new replies from a given turn on.

The experience and the earlier turns are taken from the record, so only the continuation differs
from the original conversation. The models get new seeds, even if they are the run's own models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convogen.engine.ordered_tasks import run_until_complete
from convogen.engine.replay import recorded_run
from convogen.engine.run_observability import log_outcome, observe_run
from convogen.engine.task_setup import (
    describe,
    name_task,
    now,
    open_roles,
    play_task,
    writing_language,
)
from convogen.errors import ExperimentError, RunStopped
from convogen.experiment.experiment import Experiment
from convogen.experiment.fingerprint import fingerprint_of
from convogen.methods.base import RunInputs, Task
from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.recorded import NoModel, NotRecorded, RecordedJournal
from convogen.models.traffic.router import Traffic
from convogen.records import Conversation
from convogen.storage.remote.shown import shown
from convogen.storage.run_folder import Outcome, Run, RunStore
from convogen.suggested import suggested

__all__ = ["replay_conversation"]


def replay_conversation(
    folder: str | Path,
    conversation: str,
    from_turn: int,
    out: str | Path | None = None,
    *,
    models: Mapping[str, Any] | None = None,
    tally: RunProgress | None = None,
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
) -> Run:
    """Replay a conversation in a run, with new replies from turn `from_turn` on.

    Calling the function again resumes an interrupted replay.

    Args:
        folder: Folder of the run.
        conversation: Id of the conversation.
        from_turn: First turn to replace, counted from 1.
        out: Run folder for the result. By default, it is next to the run folder and named after the
            conversation and the turn.
        models: A model for each role, as in an experiment. By default, the run's own models are
            called.
        tally: Progress counts to update.
        open_model: Function that creates the model that a spec describes.

    Returns:
        A run with one conversation or one failure.

    Raises:
        SourceError: If the run has no such conversation.
        ExperimentError: If the conversation has no such turn.
        RunStopped: If a model fails, or if the calls for the earlier turns no longer match the
            record.
    """
    run = recorded_run(folder)
    file = run.folder / "experiment.yaml"
    then = Experiment.load(file, {"n": 1})
    new = then if models is None else Experiment.load(file, {"n": 1, "models": dict(models)})
    branch = _Branch(run, run.conversation(conversation), from_turn, then, new)
    target = Path(out) if out is not None else run.folder.with_name(branch.name)
    return run_until_complete(branch.play(target, tally or RunProgress(), open_model))


class _Branch:
    """The replay of a conversation from a given turn on, with the recorded experiment for the
    earlier turns and a new experiment for the later turns."""

    def __init__(
        self, run: Run, old: Conversation, from_turn: int, then: Experiment, new: Experiment
    ) -> None:
        openings = sum(turn.origin != "agent" for turn in old.turns)
        if openings == len(old.turns):
            raise ExperimentError(
                f"{run.folder}: conversation {old.id} was written in one reply; only "
                f"conversations that were played turn by turn can be replayed from a turn"
            )
        if not openings < from_turn <= len(old.turns):
            raise ExperimentError(
                f"{run.folder}: conversation {old.id} cannot be replayed from turn {from_turn}; "
                f"choose a turn from {openings + 1} to {len(old.turns)}"
            )
        self._run, self._old, self._then, self._new = run, old, then, new
        self._kept = from_turn - 1
        self._source = str(run.manifest.get("fingerprint"))
        origin = {"fingerprint": self._source, "conversation": old.id, "from_turn": from_turn}
        self._fingerprint = fingerprint_of([origin, new.fingerprint_inputs["roles"]])
        # An id may contain characters that are not allowed in folder names.
        spelt = re.sub(r"[^\w.-]+", "-", old.id)[:80]
        self.name = f"{run.folder.resolve().name}.{spelt}.turn-{from_turn}.{self._fingerprint[:6]}"
        self._manifest = describe(new) | {
            "fingerprint": self._fingerprint,
            "replay_of": {"run": shown(str(run.folder.resolve())), **origin},
        }

    async def play(
        self, target: Path, tally: RunProgress, open_model: Callable[[ModelSpec], ChatModel]
    ) -> Run:
        """Play the branch into a folder, or resume an interrupted replay in it."""
        then = Traffic(open_roles(self._then), 1, tally, lambda _: NoModel())
        live = Traffic(open_roles(self._new), self._new.concurrency, tally, open_model)
        store: RunStore | None = None
        try:
            new = self._new
            store = RunStore.open(
                target, self._fingerprint, new.to_yaml(), self._manifest, new.is_read_from
            )
            if not store.committed:
                with observe_run(self._new, store):
                    await self._converse(store, then, live)
            store.note({"complete": True, "ended_at": now()})
        finally:
            await live.close()
            if store is not None:
                store.close()
        return Run(target)

    async def _converse(self, store: RunStore, then: Traffic, live: Traffic) -> None:
        number = self._old.task or 0
        journal = RecordedJournal(store.journal(0).path, self._run.calls(number))
        n_played = 0

        def go_live() -> None:
            journal.live = True
            session.traffic = live
            session.seed = name_task(self._fingerprint, number)[1]

        def count(what: str) -> None:
            """Count an event, and switch to live calls after the last turn that is kept."""
            nonlocal n_played
            live.tally.add(what)
            n_played += what == "turns"
            if n_played == self._kept and what in ("turns", "experiences"):
                go_live()

        seeds = int(self._source, 16), self._then.common.seed
        play = self._then.method.start(RunInputs(*seeds, self._then.prompts, self._run))
        play.restore(number)
        name, seed = name_task(self._source, number)
        begun = f"{store.manifest.get('started_at', '')}"
        writing = writing_language(self._then.method, seed)
        session = then.session(number, seed, journal, begun, writing)
        if not self._kept and self._old.experience is None:
            go_live()
        try:
            outcome = await play_task(play, Task(number, name, seed, session, count))
        except NotRecorded as fault:
            raise RunStopped(
                f"{self._run.folder}: conversation {self._old.id}: {fault}; the experiment or its "
                f"inputs have changed; run `{suggested('replay', self._run.folder)}` to see how"
            ) from fault
        outcome = self._renamed(outcome)
        store.commit(0, outcome, journal)
        log_outcome(0, outcome)

    def _renamed(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the ids and task numbers of a separate run."""

        def own(record: Any, **update: Any) -> Any:
            return record and record.model_copy(update={"task": 0, **update})

        return Outcome(
            own(outcome.experience),
            own(outcome.conversation, id=f"c-{self._fingerprint}"),
            own(outcome.failure, id=f"f-{self._fingerprint}"),
        )
