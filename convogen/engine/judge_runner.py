"""Judging a run: each conversation and aspect is scored once, concurrently, committed in order.

The plan covers the run's conversations in order, and the aspects of each. Scores are the same at
any concurrency. A resumed start repeats no answered call, and after a run was extended only its new
conversations are scored.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from convogen.engine.hopeless import FIRST, FirstTasks, Way
from convogen.engine.ordered_tasks import WINDOW, OrderedTaskRunner, run_until_complete
from convogen.errors import ExperimentError, RunFolderError, SourceError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.inputs.keys import first_fault
from convogen.judges import Judge, JudgeInput
from convogen.judges.base import ROLE
from convogen.judges.reference_dialogues import CorpusFolder, ReferenceDialogues
from convogen.models.base import ChatModel, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import EMBEDDED_SAMPLING, ModelSpec
from convogen.models.tracing import span
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.provenance import last_calls
from convogen.models.traffic.router import Role, Traffic
from convogen.plugins import registry
from convogen.records import Score
from convogen.redaction import public_url
from convogen.storage.run_folder import Run, load_run
from convogen.storage.score_store import ScoreStore, move_scores_aside
from convogen.telemetry.log import run_log
from convogen.version import __version__

__all__ = ["count_scores", "is_given", "judge_run", "judge_run_async", "open_judge"]

UNTRIED, UNANSWERED = 4, 4
"""Upper bound of scores in flight until the first one; scores left unanswered by an endpoint that
answers other calls, after which judging stops."""

LOG = logging.getLogger("convogen.judging")
SCORE_FORMAT = 1
"""Incremented when the same judge produces different scores than before."""


def open_judge(name: str, parameters: Mapping[str, Any]) -> Judge:
    """Return a judge by name; raises `ExperimentError` for an unknown judge or parameter."""
    kind: type[Judge] = registry.load("judges", name)
    try:
        return kind.model_validate(parameters)
    except ValidationError as error:
        known = ", ".join(key for key, of in kind.model_fields.items() if not of.exclude)
        raise ExperimentError(f"judge {name}: {first_fault(error)}; keys: {known}") from error


def judge_run(
    run: str | Path | Run,
    judge: Judge | str,
    spec: ModelSpec | str,
    *,
    references: ReferenceDialogues | None = None,
    n: int | None = None,
    concurrency: int | None = None,
    fresh: bool = False,
    tally: RunProgress | None = None,
    open_model: Callable[[ModelSpec], ChatModel] | None = None,
) -> Run:
    """Score the conversations of a run, or resume scoring them.

    Args:
        run: The run, its folder, or a `CorpusFolder`.
        judge: The judge, or its name for default parameters.
        spec: The judge's model, or its name.
        references: The dialogues to compare with, for a judge that needs them.
        n: Score only the first n conversations; all if None.
        concurrency: Most calls in flight per endpoint; default 64, for an embedded model 8.
        fresh: Whether to move earlier scores of this judge aside.
        tally: Counts progress.
        open_model: Creates the model of a spec; default: as the judge does.

    Returns:
        The run, with the scores.

    Raises:
        RunFolderError: The folder is not a run, or holds another judge's scores.
        SourceError: A conversation lacks what the judge needs.
        RunStopped: Judging ended early; calling again resumes it.
    """
    arguments = judge_run_async(
        run,
        judge,
        spec,
        references=references,
        n=n,
        concurrency=concurrency,
        fresh=fresh,
        tally=tally,
        open_model=open_model,
    )
    return run_until_complete(arguments, "judge_run_async")


async def judge_run_async(
    run: str | Path | Run,
    judge: Judge | str,
    spec: ModelSpec | str,
    *,
    references: ReferenceDialogues | None = None,
    n: int | None = None,
    concurrency: int | None = None,
    fresh: bool = False,
    tally: RunProgress | None = None,
    open_model: Callable[[ModelSpec], ChatModel] | None = None,
) -> Run:
    """Score the conversations of a run as `judge_run` does, within a running event loop."""
    run = run if isinstance(run, Run) else load_run(run)
    judge = open_judge(judge, {}) if isinstance(judge, str) else judge
    spec = ModelSpec(name=spec) if isinstance(spec, str) else spec
    judge = judge.suited(spec)
    total = count_scores(run, judge, n, references)
    if fresh:
        move_scores_aside(run.folder, judge.name)
    tally = tally or RunProgress()
    in_flight = concurrency or (8 if spec.kind == "embedded" else 64)
    embedded = EMBEDDED_SAMPLING[ROLE] if spec.is_shipped else Sampling()
    role = Role(spec, embedded.with_defaults(judge.sampling))
    manifest = _manifest(judge, role, _data(run, judge, references))
    if isinstance(run, CorpusFolder):
        manifest["source"] = run.source
    traffic = Traffic({ROLE: role}, in_flight, tally, open_model or judge.open_model)
    store: ScoreStore | None = None
    try:
        await judge.check(traffic)
        store = ScoreStore.open(run.folder, judge.name, manifest)
        traffic.provenance.earlier(last_calls(store.path.with_suffix("") / "ledger.jsonl"))
        with _observe_judging(store, judge.name, spec, total):
            places = _plan(run, judge, None, references)
            judging = _Judging(
                run=run,
                judge=judge,
                store=store,
                traffic=traffic,
                fingerprint=manifest["fingerprint"],
                places=places,
            )
            if total == count_scores(run, judge, 1, references):
                judging.first.hopeful = True  # a single conversation may itself be the cause
            await judging.run(total, WINDOW * in_flight)
    finally:
        await traffic.close()
        if store is not None:
            store.close()
    return run


def count_scores(
    run: Run, judge: Judge, n: int | None = None, references: ReferenceDialogues | None = None
) -> int:
    """Return how many scores the first `n` conversations get.

    Raises `SourceError` if one lacks the experience or the reference dialogue that the judge needs.
    """
    return sum(1 for _ in _plan(run, judge, n, references))


@dataclass(frozen=True, slots=True)
class _ScoreTask:
    judged: JudgeInput
    aspect: str

    @property
    def key(self) -> tuple[str, str]:
        return self.judged.conversation.id, self.aspect


def _plan(
    run: Run, judge: Judge, n: int | None, references: ReferenceDialogues | None
) -> Iterator[_ScoreTask]:
    """Yield all score tasks in order. Experiences are streamed, not held: both files are in
    order."""
    if judge.needs == "reference" and references is None:
        raise SourceError(
            f"judge {judge.name} compares each conversation with a real one; give the corpus of "
            f"real ones with --real"
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
                f"{run.folder}: conversation {conversation.id} has no experience in this run; "
                f"judge {judge.name} needs one for each conversation"
            )
        other = (
            references.of(conversation, place) if references and judge.needs == "reference" else ()
        )
        for aspect in judge.aspects(experience):
            yield _ScoreTask(JudgeInput(conversation, experience, other), aspect)


@dataclass(frozen=True, slots=True)
class _Given:
    score: Score
    journal: Journal


class _Judging:
    """One start of a judge on a run."""

    def __init__(
        self,
        *,
        run: Run,
        judge: Judge,
        store: ScoreStore,
        traffic: Traffic,
        fingerprint: str,
        places: Iterator[_ScoreTask],
    ) -> None:
        self._run = run
        self._judge = judge
        self._store = store
        self._traffic = traffic
        self._fingerprint = fingerprint
        self._places = places
        set_key, afterwards = partial(_setting, judge), "--fresh scores again"
        self.first = FirstTasks(
            UNTRIED,
            "scores",
            set_key=set_key,
            afterwards=afterwards,
            unanswered=UNANSWERED,
            anyhow=FIRST,
        )

    async def run(self, total: int, window: int) -> None:
        """Score until `total` scores are committed."""
        store = self._store
        self._traffic.tally.add("scores", min(store.committed, total))
        self._skip_committed()
        line = OrderedTaskRunner(self._start, store.committed)
        try:
            while store.committed < total:
                missing = min(total - store.committed, window)
                given = await line.next(lambda most=missing: min(most, self.first.most or most))
                store.commit(store.committed, given.score, given.journal)
                _log_score(store.committed - 1, given.score)
                self._traffic.tally.add("scores")
                if is_given(given.score):
                    self.first.succeeded()
                else:
                    self.first.failed(_way(given.score), given.journal)
        finally:
            await line.stop()

    def _skip_committed(self) -> None:
        """Skip the scored conversations; they must match the run's."""
        for score in self._run.scores(self._judge.name):
            place = next(self._places, None)
            if is_given(score):
                self.first.hopeful = True
            if place is None or place.key != (score.conversation, score.aspect):
                raise RunFolderError(
                    f"{self._store.path}: the score of {score.conversation}, {score.aspect} does "
                    f"not belong to a conversation of this run; --fresh moves the scores aside "
                    f"and scores again"
                )

    def _start(self, number: int) -> Coroutine[Any, Any, _Given]:
        return self._score(number, next(self._places))

    async def _score(self, number: int, place: _ScoreTask) -> _Given:
        text = "/".join((self._fingerprint, *place.key))
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        journal = self._store.journal(number)
        session = self._traffic.session(number, seed, journal)
        with span("score", task=number, aspect=place.aspect):
            score = await self._judge.judge(session, place.judged, place.aspect)
        if is_given(score):
            self.first.hopeful = True
        return _Given(score, journal)


def is_given(score: Score) -> bool:
    """Return whether a judge gave a score or a choice."""
    return score.value is not None or score.choice is not None


def _way(score: Score) -> Way:
    """Return why a score is missing; its reason begins with the kind of fault."""
    reason = score.reason or "no score"
    return Way("score", reason.partition(":")[0][:80], reason)


def _setting(judge: Judge, role: str, parameter: str, value: object) -> str:
    """Return the options of `evaluate` that set a parameter of the judge's sampling keys."""
    steps = [
        name for name in type(judge).model_fields if isinstance(getattr(judge, name), Sampling)
    ]
    return " ".join(f"--set {step}.{parameter}={value}" for step in steps) or (
        "this judge's replies leave no room for thinking: name a model that does not think"
    )


@contextmanager
def _observe_judging(store: ScoreStore, judge: str, spec: ModelSpec, total: int) -> Generator[None]:
    """Log and trace one start of a judge."""
    facts = {"judge": judge, "model": spec.identity, "total": total}
    with run_log(store.path.with_suffix("") / "log.jsonl"), span("evaluate", **facts):
        LOG.info("start", extra={**facts, "convogen": __version__, "scores": store.committed})
        try:
            yield
        except BaseException as error:
            ended = {"error": type(error).__name__, "detail": str(error)}
            LOG.warning("stopped", extra={**ended, "scores": store.committed})
            raise
        LOG.info("complete", extra={"scores": store.committed})


def _log_score(task: int, score: Score) -> None:
    """Log a score: at info level if it is missing, otherwise at debug level."""
    facts = {"task": task, "conversation": score.conversation, "aspect": score.aspect}
    if score.value is None:
        LOG.info("no score", extra={**facts, "reason": score.reason})
    LOG.debug("commit", extra=facts)


def _data(run: Run, judge: Judge, references: ReferenceDialogues | None) -> dict[str, str]:
    """Return digests of the judged data that is not kept in a run folder."""
    data = {"dialogues": run.digest} if isinstance(run, CorpusFolder) else {}
    return data | (
        {"beside": references.digest} if references and judge.needs == "reference" else {}
    )


def _manifest(judge: Judge, role: Role, data: dict[str, str]) -> dict[str, Any]:
    """Return the judge's manifest with its fingerprint of 16 hexadecimal digits, without
    secrets."""
    essence = {
        "format": SCORE_FORMAT,
        "model": role.spec.identity,
        "sampling": role.sampling.model_dump(exclude_none=True),
        **judge.fingerprint_inputs,
        **data,
    }
    fingerprint = fingerprint_of(essence)
    described: dict[str, Any] = {"convogen": __version__, "kind": role.spec.kind}
    if packages := registry.packages({"judges": [judge.name]}):
        described["packages"] = packages
    if role.spec.price:
        described["price"] = role.spec.price.model_dump(exclude_none=True)
    if role.spec.base_url:
        described["base_url"] = public_url(role.spec.base_url)
    return {"fingerprint": fingerprint, "judged_by": essence, **described}
