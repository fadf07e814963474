"""Log entries and spans for a run's start and end, its failures and its repairs."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from convogen.experiment.experiment import Experiment
from convogen.models.tracing import span
from convogen.storage.run_folder import Outcome, RunStore
from convogen.telemetry.log import run_log

__all__ = ["log_outcome", "observe_run"]

LOG = logging.getLogger("convogen.run")


@contextmanager
def observe_run(experiment: Experiment, store: RunStore) -> Generator[None]:
    """Log and trace one invocation of a run."""
    began = time.perf_counter()
    facts = {"name": experiment.name, "fingerprint": store.fingerprint, "n": experiment.n}

    def state() -> dict[str, Any]:
        rows = {"conversations": store.n_conversations, "failures": store.n_failures}
        rows["rejected"] = store.n_rejected
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
        LOG.info("end", extra=state())


def log_outcome(task: int, outcome: Outcome) -> None:
    """Log a task's failures, rejections and repairs at info level, and its commit at debug
    level."""
    failure, rejected = outcome.failure, outcome.rejected
    conversation = outcome.conversation or (rejected and rejected.conversation)
    if failure is not None:
        facts = failure.model_dump(include={"id", "stage", "kind", "message"})
        facts["detail"] = facts.pop("message")
        LOG.info("failure", extra={"task": task, **facts})
    if rejected is not None:
        facts = rejected.model_dump(include={"id", "gate", "reason", "value"})
        LOG.info("rejected", extra={"task": task, **facts})
    turns = conversation.turns if conversation else []
    repairs = {
        "experience": outcome.experience.repairs if outcome.experience else [],
        "selector": [t.selection.repair for t in turns if t.selection and t.selection.repair],
        "asked_again": [reason for turn in turns for reason in turn.reasks],
    }
    if any(repairs.values()):
        LOG.info("repairs", extra={"task": task, **repairs})
    LOG.debug("commit", extra={"task": task, "turns": len(turns)})
