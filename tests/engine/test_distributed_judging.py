"""A judge's scores from several workers: the scores, limits and calls equal those of one process.

These workers run in this process (`worker_processes`); `test_ray` uses real workers.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually
from worker_processes import InProcessWorkers

from convogen import Experiment, load_run, run
from convogen.engine.distributed.judging_work import JudgeConversations
from convogen.engine.distributed.messages import Setup
from convogen.engine.distributed.worker import Worker
from convogen.engine.judge_runner import judge_run, judge_run_async
from convogen.errors import EndpointDown, Hopeless, UserError, WorkersDied
from convogen.judges.geval import GEval
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ChatModel, ModelReply, Request, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Role
from convogen.version import __version__

SCRIPTED = ModelSpec(name="scripted")
JUDGE = GEval(samples=2, questions_generated={"topic": "the topic", "overall": "all of it"})
N_SCORES = 24
IN_FLIGHT = 8


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run of twelve conversations with two scores each."""
    folder = tmp_path_factory.mktemp("judged") / "run"
    run(Experiment.load("GPFS-s", {"n": 12, "models": "scripted", "max_turns": 4}), folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "run"))


class Model(ScriptedModel):
    """A model without log-probabilities that counts its calls and yields to the event loop at each.

    Some of its replies contain no score.
    """

    def __init__(self, asked: Counter[str], script: Callable[[Request], str] | None = None) -> None:
        super().__init__(script or scores, logprobs=False)
        self._asked = asked

    async def complete(self, request: Request) -> ModelReply:
        self._asked[f"{request.hash} {request.dialogue} {request.sampling.seed}"] += 1
        await asyncio.sleep(0)
        return await super().complete(request)


def scores(request: Request) -> str:
    if not request.choices:
        return improvise(request)
    number = int(request.hash, 16) + (request.sampling.seed or 0)
    return f"{1 + number % 5}" if number % 7 else "I would rather not say."


def opens(asked: Counter[str]) -> Callable[[object], ChatModel]:
    return lambda spec: Model(asked)


def judge_files(folder: Path) -> dict[str, bytes]:
    """Return the judge's files that must be identical, and its calls without their times."""
    judged = folder / "scores"
    rows = [json.loads(line) for line in (judged / "geval/ledger.jsonl").read_text().splitlines()]
    calls = [{k: v for k, v in row.items() if k not in ("seconds", "at")} for row in rows]
    names = ("geval.jsonl", "geval/calls.jsonl", "geval/manifest.json")
    return {name: (judged / name).read_bytes() for name in names} | {
        "ledger": json.dumps(calls).encode()
    }


@pytest.fixture(scope="module")
def expected(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, bytes], int]:
    """Return the judge's files from one process, and the number of its calls."""
    folder = Path(shutil.copytree(generated, tmp_path_factory.mktemp("one") / "run"))
    asked: Counter[str] = Counter()
    judge_run(folder, JUDGE, SCRIPTED, concurrency=IN_FLIGHT, open_model=opens(asked))
    assert set(asked.values()) == {1}
    found = judge_files(folder)
    assert found["geval.jsonl"].count(b"\n") == N_SCORES
    assert b"named no score" in found["geval.jsonl"]
    return found, asked.total()


@pytest.mark.parametrize("n_workers", [1, 3])
def test_same_scores_with_any_number_of_workers(
    expected: tuple[dict[str, bytes], int], folder: Path, n_workers: int
) -> None:
    asked: Counter[str] = Counter()
    tally = RunProgress()
    workers = InProcessWorkers(n_workers, opens(asked))
    judge_run(folder, JUDGE, SCRIPTED, concurrency=IN_FLIGHT, workers=workers, tally=tally)
    assert judge_files(folder) == expected[0]
    assert asked.total() == expected[1] == tally.counts["calls"]
    assert tally.counts["scores"] == N_SCORES
    assert list((folder / "scores/geval/journal").iterdir()) == []
    assert len(workers.setups) == n_workers


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deaths=st.sets(st.integers(1, 60), max_size=4),
    n_workers=st.integers(1, 3),
    spare=st.integers(0, 4),
)
def test_workers_that_die_anywhere_change_nothing(
    expected: tuple[dict[str, bytes], int],
    generated: Path,
    tmp_path_factory: pytest.TempPathFactory,
    deaths: set[int],
    n_workers: int,
    spare: int,
) -> None:
    """Dead workers are replaced while possible. Otherwise, others take over, or judging is
    resumed if no workers are left."""
    folder = Path(shutil.copytree(generated, tmp_path_factory.mktemp("deaths") / "run"))
    asked: Counter[str] = Counter()
    workers = InProcessWorkers(n_workers, opens(asked), deaths.__contains__, n_workers + spare)
    try:
        judge_run(folder, JUDGE, SCRIPTED, concurrency=IN_FLIGHT, workers=workers)
    except WorkersDied:
        assert len(workers.lost) > spare
        others = InProcessWorkers(2, opens(asked))
        judge_run(folder, JUDGE, SCRIPTED, concurrency=IN_FLIGHT, workers=others)
    found = judge_files(folder)
    assert {**found, "ledger": b""} == {**expected[0], "ledger": b""}
    assert asked.total() - expected[1] <= IN_FLIGHT * len(workers.lost)


def test_a_stopped_judge_is_gone_on_with_in_workers_or_without(
    expected: tuple[dict[str, bytes], int], folder: Path
) -> None:
    answered: Counter[str] = Counter()

    class Failing(Model):
        def __init__(self) -> None:
            super().__init__(Counter())
            self.left = 20

        async def complete(self, request: Request) -> ModelReply:
            self.left -= 1
            if self.left < 0:
                raise EndpointDown("the key was revoked")
            reply = await super().complete(request)
            answered[f"{request.hash} {request.dialogue} {request.sampling.seed}"] += 1
            return reply

    for turn in range(100):
        model = Failing()
        made_here = {"open_model": lambda _, m=model: m}
        workers = InProcessWorkers(3, made_here["open_model"])
        others = {"workers": workers} if turn % 2 else made_here
        try:
            judge_run(folder, JUDGE, SCRIPTED, concurrency=IN_FLIGHT, **others)  # type: ignore[arg-type]
        except EndpointDown:
            continue
        assert turn > 2
        break
    assert judge_files(folder)["geval.jsonl"] == expected[0]["geval.jsonl"]
    assert set(answered.values()) == {1}, "no call may be paid for twice"


def test_rates_and_concurrency_hold_over_three_workers(folder: Path) -> None:
    starts: list[float] = []
    in_flight = most = 0

    class Slow(Model):
        async def complete(self, request: Request) -> ModelReply:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(6)
            in_flight -= 1
            return await super().complete(request)

    spec = ModelSpec(name="scripted", requests_per_minute=60)
    workers = InProcessWorkers(3, lambda _: Slow(Counter()))
    run_virtually(judge_run_async(folder, JUDGE, spec, concurrency=5, workers=workers))
    assert len(starts) > 60
    assert most == 5
    for first, start in enumerate(starts):  # 60 per minute, a tenth of them together
        within = sum(start <= other < start + 30 for other in starts[first:])
        assert within <= 30 + 6 + 1


def test_a_hopeless_judge_stops_as_in_one_process(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for name, made in (
        ("one", {"open_model": lambda _: Model(Counter(), lambda r: "well, well")}),
        ("three", {"workers": InProcessWorkers(3, lambda _: Model(Counter(), lambda r: "well"))}),
    ):
        copy = Path(shutil.copytree(folder, tmp_path / name))
        with pytest.raises(Hopeless) as stopped:
            judge_run(copy, JUDGE, SCRIPTED, **made)  # type: ignore[arg-type]
        said.append(str(stopped.value).replace("well, well", "well"))
    assert said[0] == said[1]


def refusal(work: JudgeConversations) -> str:
    async def start() -> str:
        hello = await Worker().start(Setup(0, __version__, 30, work))
        assert hello.refusal is not None
        error = hello.refusal.error()
        assert isinstance(error, UserError)
        return str(error)

    return asyncio.run(start())


def test_a_worker_with_another_judge_is_refused() -> None:
    """For example, the worker's prompt files differ from the driver's."""
    inputs = {**JUDGE.fingerprint_inputs, "prompts": {"explain": "another file's hash"}}
    parameters = JUDGE.model_dump(mode="json", exclude_unset=True)
    work = JudgeConversations("geval", parameters, inputs, Role(SCRIPTED, Sampling()), "f")
    assert "has a different judge geval (prompts" in refusal(work)


def test_what_cannot_judge_on_a_cluster_is_told_before_anything_is_written(folder: Path) -> None:
    class Mine(GEval):
        """A judge under the name of another judge."""

    workers = InProcessWorkers(1, opens(Counter()))
    with pytest.raises(UserError, match="serve the model and use --base-url"):
        judge_run(folder, JUDGE, ModelSpec(name="embedded"), workers=workers)
    fallback = ModelSpec(
        name="m", base_url="http://127.0.0.1:9/v1", fallback=[ModelSpec(name="a.gguf")]
    )
    with pytest.raises(UserError, match=r"model a\.gguf: judging with --ray needs an endpoint"):
        judge_run(folder, JUDGE, fallback, workers=workers)
    with pytest.raises(UserError, match="workers open a judge by its name"):
        judge_run(folder, Mine(), SCRIPTED, workers=workers)
    assert not (folder / "scores").exists()


def test_no_secret_is_in_what_a_worker_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    spec = ModelSpec(name="m", base_url="http://127.0.0.1:9/v1", api_key_env="MY_KEY")
    workers = InProcessWorkers(1, opens(Counter()))
    judge_run(folder, JUDGE, spec, n=1, workers=workers)
    assert "sk-very-secret-key" not in repr(workers.setups)
    assert "MY_KEY" in repr(workers.setups)
    assert next(load_run(folder).scores("geval")).value is not None
