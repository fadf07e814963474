"""The plan for a judge's scores, and the computation of a score in this process or in a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from convogen.engine.workers import Done
from convogen.errors import ExperimentError, SourceError
from convogen.inputs.keys import first_fault
from convogen.judges import Judge, JudgeInput
from convogen.judges.reference_dialogues import ReferenceDialogues
from convogen.models.progress import RunProgress
from convogen.models.tracing import span
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.plugins import registry
from convogen.records import Score
from convogen.storage.run_folder import Run
from convogen.storage.score_store import ScoreStore

__all__ = [
    "LocalScorer",
    "ScoreTask",
    "ScorerContext",
    "open_judge",
    "plan_scores",
    "score_one",
]


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """A conversation, and the aspect to score."""

    judged: JudgeInput
    aspect: str

    @property
    def key(self) -> tuple[str, str]:
        """The conversation's id and the aspect's name."""
        return self.judged.conversation.id, self.aspect


@dataclass(frozen=True, slots=True)
class ScorerContext:
    """The context of one invocation of a judge, for `LocalScorer` or for the driver.

    `role` contains the judge's model and sampling settings. Seeds are derived from `fingerprint`.
    """

    judge: Judge
    role: Role
    fingerprint: str
    store: ScoreStore
    traffic: Traffic
    tally: RunProgress


class LocalScorer:
    """A scorer that computes scores in this process."""

    def __init__(self, context: ScorerContext) -> None:
        self._context = context

    async def do(self, number: int, given: Any = None) -> Done[Score]:
        """Return the score with the given number. `given` is the score's `ScoreTask`."""
        context = self._context
        journal = context.store.journal(number)
        score = await score_one(
            context.judge,
            context.fingerprint,
            number,
            given,
            traffic=context.traffic,
            journal=journal,
        )
        return Done(score, journal)

    def committed(self, number: int, result: Score) -> None:
        """Do nothing, because no score depends on another."""


def open_judge(name: str, parameters: Mapping[str, Any]) -> Judge:
    """Return the judge with a given name; raise `ExperimentError` if the name or a parameter is
    unknown or invalid."""
    kind: type[Judge] = registry.load("judges", name)
    try:
        return kind.model_validate(parameters)
    except ValidationError as error:
        known = ", ".join(key for key, of in kind.model_fields.items() if not of.exclude)
        raise ExperimentError(
            f"judge {name}: {first_fault(error)}; allowed keys: {known}"
        ) from error


def plan_scores(
    run: Run, judge: Judge, n: int | None, references: ReferenceDialogues | None
) -> Iterator[ScoreTask]:
    """Yield all score tasks in order.

    Experiences are streamed, because they are stored in the same order as the conversations.
    """
    if judge.needs == "reference" and references is None:
        raise SourceError(
            f"judge {judge.name} compares each conversation with a real one; give a corpus of "
            "real conversations with --real"
        )
    experiences = run.experiences()
    current = None
    for place, conversation in enumerate(islice(run.conversations(), n)):
        while conversation.experience is not None and (
            current is None or current.id != conversation.experience
        ):
            current = next(experiences, None)
            if current is None:
                break
        experience = None if conversation.experience is None else current
        if judge.needs == "experience" and experience is None:
            raise SourceError(
                f"{run.folder}: conversation {conversation.id} has no experience in this run, "
                f"but judge {judge.name} needs an experience for each conversation; choose another "
                "judge"
            )
        other = (
            references.of(conversation, place) if references and judge.needs == "reference" else ()
        )
        judged = JudgeInput(conversation, experience, other)
        for aspect in judge.aspects(experience):
            yield ScoreTask(judged, aspect)


async def score_one(
    judge: Judge,
    fingerprint: str,
    number: int,
    task: ScoreTask,
    *,
    traffic: Traffic,
    journal: Journal,
) -> Score:
    """Return the score for a task. The judge's fingerprint and the task determine the seed."""
    text = "/".join((fingerprint, *task.key))
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    session = traffic.session(number, seed, journal)
    with span("score", task=number, aspect=task.aspect):
        return await judge.judge(session, task.judged, task.aspect)
