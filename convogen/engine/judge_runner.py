"""Judging of a run. Each aspect of each conversation is scored once, and scores are committed in
order.

The plan contains the run's conversations in order, with the aspects of each conversation. Scores do
not depend on the concurrency. When judging is resumed, no answered call is repeated. After a run
has been extended, only its new conversations are scored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from convogen.engine.hopeless import FIRST, FirstTasks, Way
from convogen.engine.ordered_tasks import WINDOW, OrderedTaskRunner, run_until_complete
from convogen.engine.run_budget import charge_calls, describe_asking_stop, role_prices
from convogen.engine.scoring import (
    LocalScorer,
    ScorerContext,
    ScoreTask,
    open_judge,
    plan_scores,
)
from convogen.engine.workers import Done, TaskDoer, Workers
from convogen.errors import BudgetReached, RunFolderError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.judges import Judge
from convogen.judges.base import ROLE
from convogen.judges.reference_dialogues import CorpusFolder, ReferenceDialogues
from convogen.models.base import ChatModel, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import EMBEDDED_SAMPLING, ModelSpec
from convogen.models.tracing import span
from convogen.models.traffic.admission import AdmissionQueue
from convogen.models.traffic.budget import NO_LIMITS, Budget, Limits
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
"""UNTRIED: Maximum number of scores in flight until the first score succeeds. UNANSWERED: Number of
failed scores after which judging stops if an endpoint answers other calls but not the calls for
these scores."""

LOG = logging.getLogger("convogen.judging")
SCORE_FORMAT = 1
"""Version of the scoring. It is incremented when a change makes judges produce different scores."""


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
    workers: Workers | None = None,
    limits: Limits | None = None,
) -> Run:
    """Score the conversations in a run, or resume scoring them.

    Args:
        run: The run, its folder, or a `CorpusFolder`.
        judge: The judge, or the name of a judge, which then has its default parameters.
        spec: The judge's model, or the name of the model.
        references: Dialogues with which the conversations are compared; only some judges need them.
        n: Number of conversations to score, counted from the first. Default: all.
        concurrency: Maximum number of in-flight calls per endpoint. Default: 64, or 8 for an
            embedded model.
        fresh: Whether to move earlier scores by this judge aside and score again.
        tally: Progress counts to update.
        open_model: Function that creates the model that a spec describes. Default: the judge's own
            function.
        workers: Processes that compute the scores instead of this process
            (`convogen.engine.distributed.ray_cluster.RayWorkers`).
        limits: Limits on the cost of this judge's scores in this run, including the cost of
            earlier invocations.

    Returns:
        The run with its scores.

    Raises:
        RunFolderError: If the folder is not a run, or contains scores by a different judge with
            the same name.
        SourceError: If a conversation lacks data that the judge needs.
        ModelConfigError: If a budget in USD requires a price that is unknown.
        RunStopped: If judging ended early. Calling the function again resumes it.
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
        workers=workers,
        limits=limits,
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
    workers: Workers | None = None,
    limits: Limits | None = None,
) -> Run:
    """Score the conversations in a run like `judge_run`, but inside a running event loop."""
    run = run if isinstance(run, Run) else load_run(run)
    judge = open_judge(judge, {}) if isinstance(judge, str) else judge
    spec = ModelSpec(name=spec) if isinstance(spec, str) else spec
    judge = judge.suited(spec)
    if workers is not None:
        _check_workers(workers, judge, spec)
    prices = role_prices({ROLE: spec}, limits or NO_LIMITS)
    budget = Budget(limits, prices)
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
    opens = workers.open_model if workers else open_model or judge.open_model
    if budget.limits != NO_LIMITS:
        charge_calls(budget, run.ledger(judge.name), prices)
    gate = AdmissionQueue(budget)
    traffic = Traffic({ROLE: role}, in_flight, tally, opens, gate)
    store: ScoreStore | None = None
    try:
        await _check_model(judge, role, traffic, gate if workers else None)
        store = ScoreStore.open(run.folder, judge.name, manifest)
        traffic.provenance.earlier(last_calls(store.path.with_suffix("") / "ledger.jsonl"))
        with _observe_judging(store, judge.name, spec, total):
            places = plan_scores(run, judge, None, references)
            fingerprint = manifest["fingerprint"]
            context = ScorerContext(judge, role, fingerprint, store, traffic, tally)
            judging = _Judging(run, context, places, workers)
            if total == count_scores(run, judge, 1, references):
                judging.first.hopeful = True  # the only conversation may itself be the cause
            await judging.run(total, WINDOW * in_flight)
    except BudgetReached as reached:
        done = 0 if store is None else store.committed
        raise describe_asking_stop(reached, done, total, "scores", run.folder) from None
    finally:
        await traffic.close()
        if store is not None:
            store.close()
    return run


def count_scores(
    run: Run, judge: Judge, n: int | None = None, references: ReferenceDialogues | None = None
) -> int:
    """Return the number of scores for the first `n` conversations.

    Raises:
        SourceError: If a conversation lacks an experience or a reference dialogue that the judge
            needs.
    """
    return sum(1 for _ in plan_scores(run, judge, n, references))


class _Judging:
    """One invocation of a judge on a run."""

    def __init__(
        self,
        run: Run,
        context: ScorerContext,
        places: Iterator[ScoreTask],
        workers: Workers | None,
    ) -> None:
        self._run = run
        self._context = context
        self._store = context.store
        self._places = places
        self._workers = workers
        set_key, afterwards = partial(_setting, context.judge), "use --fresh to score again"
        self.first = FirstTasks(
            UNTRIED,
            "scores",
            set_key=set_key,
            afterwards=afterwards,
            unanswered=UNANSWERED,
            anyhow=FIRST,
        )

    async def run(self, total: int, window: int) -> None:
        """Compute scores until `total` scores are committed."""
        store = self._store
        self._context.tally.add("scores", min(store.committed, total))
        self._skip_committed()
        if store.committed >= total:
            return
        async with _scorer(self._context, self._workers) as scorer:
            drain = None if self._workers else self._context.traffic.drain
            start = partial(self._start, scorer)
            async with OrderedTaskRunner(start, store.committed, drain) as line:
                while store.committed < total:
                    missing = min(total - store.committed, window)
                    done = await line.next(lambda most=missing: min(most, self.first.most or most))
                    self._commit(store.committed, done)
                    scorer.committed(store.committed - 1, done.result)

    def _commit(self, number: int, done: Done[Score]) -> None:
        score = done.result
        self._store.commit(number, score, done.journal)
        _log_score(number, score)
        self._context.tally.add("scores")
        if is_given(score):
            self.first.succeeded()
        else:
            self.first.failed(_way(score), done.journal)

    def _skip_committed(self) -> None:
        """Skip the committed scores, which must match the run's conversations."""
        for score in self._run.scores(self._context.judge.name):
            place = next(self._places, None)
            if is_given(score):
                self.first.hopeful = True
            if place is None or place.key != (score.conversation, score.aspect):
                raise RunFolderError(
                    f"{self._store.path}: the score of {score.conversation}, {score.aspect} does "
                    f"not belong to a conversation of this run; use --fresh to move the scores "
                    f"aside and score again"
                )

    def _start(self, scorer: TaskDoer[Score], number: int) -> Coroutine[Any, Any, Done[Score]]:
        return self._score(scorer, number, next(self._places))

    async def _score(self, scorer: TaskDoer[Score], number: int, task: ScoreTask) -> Done[Score]:
        done = await scorer.do(number, task)
        if is_given(done.result):
            self.first.hopeful = True
        return done


def _scorer(
    context: ScorerContext, workers: Workers | None
) -> AbstractAsyncContextManager[TaskDoer[Score]]:
    """Return the object that computes the scores, in this process or in workers."""
    if workers is None:
        return nullcontext(LocalScorer(context))
    from convogen.engine.distributed.judging_work import JudgingJob

    return workers.start(JudgingJob(context))


def _check_workers(workers: Workers, judge: Judge, spec: ModelSpec) -> None:
    """Raise `UserError` if the workers cannot run the judge."""
    from convogen.engine.distributed.judging_work import check_judging

    workers.check([spec])
    check_judging(judge, spec)


async def _check_model(
    judge: Judge, role: Role, traffic: Traffic, own_gate: AdmissionQueue | None
) -> None:
    """Let the judge check its model once, before anything is written.

    This process makes the model call for the check even if workers make all other calls, so that
    the check is made only once.
    """
    if own_gate is None:
        await judge.check(traffic)
    elif type(judge).check is not Judge.check:
        own = Traffic({ROLE: role}, 1, traffic.tally, judge.open_model, own_gate)
        try:
            await judge.check(own)
        finally:
            await own.close()


def is_given(score: Score) -> bool:
    """Return whether a score contains a value or a choice."""
    return score.value is not None or score.choice is not None


def _way(score: Score) -> Way:
    """Return the way in which a score failed. The score's reason begins with the kind of error."""
    reason = score.reason or "no score"
    return Way("score", reason.partition(":")[0][:80], reason)


def _setting(judge: Judge, role: str, parameter: str, value: object) -> str:
    """Return the `evaluate` options that set a parameter in all of the judge's sampling keys."""
    steps = [
        name for name in type(judge).model_fields if isinstance(getattr(judge, name), Sampling)
    ]
    return " ".join(f"--set {step}.{parameter}={value}" for step in steps) or (
        "a model that does not think, because this judge's replies leave no room for thinking"
    )


@contextmanager
def _observe_judging(store: ScoreStore, judge: str, spec: ModelSpec, total: int) -> Generator[None]:
    """Log and trace one invocation of a judge."""
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
    """Log a score at debug level, and a missing score also at info level."""
    facts = {"task": task, "conversation": score.conversation, "aspect": score.aspect}
    if score.value is None:
        LOG.info("no score", extra={**facts, "reason": score.reason})
    LOG.debug("commit", extra=facts)


def _data(run: Run, judge: Judge, references: ReferenceDialogues | None) -> dict[str, str]:
    """Return digests of the judged data that is not stored in a run folder."""
    data = {"dialogues": run.digest} if isinstance(run, CorpusFolder) else {}
    return data | (
        {"beside": references.digest} if references and judge.needs == "reference" else {}
    )


def _manifest(judge: Judge, role: Role, data: dict[str, str]) -> dict[str, Any]:
    """Return the judge's manifest, without secrets. It contains a fingerprint with 16 hexadecimal
    digits."""
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
