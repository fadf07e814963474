"""A run's tasks in several workers: the data set, limits and calls equal those of one process.

These workers run in this process (`worker_processes`); `test_ray` uses real workers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually
from worker_processes import InProcessWorkers

from convogen import Experiment, Limits, load_run, run
from convogen.engine.distributed.messages import Setup
from convogen.engine.distributed.playing_work import PlayExperiment
from convogen.engine.distributed.worker import Worker
from convogen.engine.runner import run_async
from convogen.errors import (
    BudgetReached,
    EndpointDown,
    Hopeless,
    TooManyFailures,
    UserError,
    WorkersDied,
)
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ChatModel, ModelReply, Request, Transient
from convogen.models.progress import RunProgress
from convogen.version import __version__

DATASET = (
    "experiences.jsonl",
    "conversations.jsonl",
    "failures.jsonl",
    "rejected.jsonl",
    "calls.jsonl",
)
GATES = [{"gate": "min_turns", "turns": 3}, {"gate": "near_duplicate", "threshold": 0.62}]
LANES = {"lanes": 5, "per_round": 2, "max_turns": 4, "max_rejected": 200, "max_failures": 60}


def experiment(n: int = 12, **more: object) -> Experiment:
    keys = {"n": n, "models": "scripted", "reasks": 0, "gates": GATES, **LANES, **more}
    return Experiment.load("GPIS-s", keys)


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


def spoiled(request: Request) -> bool:
    """Return whether the generator fails, which depends only on the request."""
    return request.role == "generator" and int(request.hash, 16) % 5 == 0


class Model(ScriptedModel):
    """A model that counts its calls and yields to the event loop at each of them."""

    def __init__(self, asked: Counter[str], script: Callable[[Request], str] | None = None) -> None:
        super().__init__(script or (lambda r: "no object" if spoiled(r) else improvise(r)))
        self._asked = asked

    async def complete(self, request: Request) -> ModelReply:
        self._asked[f"{request.hash} {request.dialogue}"] += 1
        await asyncio.sleep(0)
        return await super().complete(request)


def opens(asked: Counter[str]) -> Callable[[object], ChatModel]:
    return lambda spec: Model(asked)


def whole(folder: Path, *, of: Experiment) -> tuple[dict[str, bytes], int]:
    """Return the data set of a run in one process, and the number of its calls."""
    asked: Counter[str] = Counter()
    run(of, folder, open_model=opens(asked))
    return dataset(folder), asked.total()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    return whole(tmp_path_factory.mktemp("whole") / "run", of=experiment())


def test_dataset_has_what_the_tests_are_about(expected: tuple[dict[str, bytes], int]) -> None:
    rows = {name: content.count(b"\n") for name, content in expected[0].items()}
    assert rows["conversations.jsonl"] == 12
    assert rows["failures.jsonl"] > 0
    assert rows["rejected.jsonl"] > 0
    assert b'"admitted":true' in expected[0]["experiences.jsonl"]


@pytest.mark.parametrize("n_workers", [1, 2, 4, 7])
def test_same_dataset_with_any_number_of_workers(
    expected: tuple[dict[str, bytes], int], tmp_path: Path, n_workers: int
) -> None:
    asked: Counter[str] = Counter()
    tally = RunProgress()
    workers = InProcessWorkers(n_workers, opens(asked))
    result = run(experiment(), tmp_path / "run", workers=workers, tally=tally)
    assert dataset(tmp_path / "run") == expected[0]
    assert asked.total() == expected[1]
    assert result.manifest["complete"] is True
    assert list((tmp_path / "run" / "journal").iterdir()) == []
    load_run(tmp_path / "run").check()
    assert tally.counts["calls"] == expected[1] == len(list(result.ledger()))
    assert tally.counts["turns"] >= sum(len(c.turns) - 1 for c in result.conversations())


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deaths=st.sets(st.integers(1, 150), max_size=4),
    n_workers=st.integers(1, 4),
    spare=st.integers(0, 4),
)
def test_workers_that_die_anywhere_change_nothing(
    expected: tuple[dict[str, bytes], int],
    tmp_path_factory: pytest.TempPathFactory,
    deaths: set[int],
    n_workers: int,
    spare: int,
) -> None:
    """Dead workers are replaced while possible. Otherwise, others take over their lanes, or the
    run is resumed if no workers are left."""
    folder = tmp_path_factory.mktemp("deaths") / "run"
    asked: Counter[str] = Counter()
    workers = InProcessWorkers(n_workers, opens(asked), deaths.__contains__, n_workers + spare)
    try:
        run(experiment(), folder, workers=workers)
    except WorkersDied:
        assert len(workers.lost) > spare
        run(experiment(), folder, workers=InProcessWorkers(2, opens(asked)))
    assert dataset(folder) == expected[0]
    # For each of its tasks, a dead worker had at most one call in flight or unreported.
    again = asked.total() - expected[1]
    assert again <= sum(12 for _ in workers.lost)
    if not workers.lost:
        assert again == 0


def test_a_dead_worker_is_told_in_one_line_and_its_calls_count_as_lost(tmp_path: Path) -> None:
    class Slow(Model):
        async def complete(self, request: Request) -> ModelReply:
            await asyncio.sleep(1)
            return await super().complete(request)

    lines: list[str] = []
    workers = InProcessWorkers(2, lambda _: Slow(Counter()), {20}.__contains__)
    tally = RunProgress(on_line=lines.append)
    of, folder = experiment(), tmp_path / "run"
    result = run_virtually(run_async(of, folder, workers=workers, tally=tally))
    assert len(lines) == 1
    assert "died" in lines[0]
    lost = [row for row in result.ledger() if row.get("lost_attempts")]
    assert lost
    assert all(row["lost_prompt_tokens"] > 0 for row in lost)


def test_workers_that_keep_dying_stop_the_run(tmp_path: Path) -> None:
    workers = InProcessWorkers(2, opens(Counter()), lambda batch: True)
    with pytest.raises(WorkersDied, match="no task ended in the meantime"):
        run(experiment(), tmp_path / "run", workers=workers)


@pytest.mark.parametrize("method", ["diasynth", "roleplay"])
def test_methods_without_lanes(tmp_path: Path, method: str) -> None:
    """Tasks that share lists are played by the same worker; other tasks may be played by any
    worker."""
    topics = tmp_path / "topics.txt"
    topics.write_text("a garden\na bridge\na choir\n")
    keys = {"topics": str(topics), "n_subtopics": 2} if method == "diasynth" else {}
    of = Experiment({"name": "x", "method": method, "n": 20, "models": "scripted", **keys})
    rows, calls = whole(tmp_path / "one", of=of)
    asked: Counter[str] = Counter()
    workers = InProcessWorkers(3, opens(asked), {15, 40}.__contains__)
    run(of, tmp_path / "three", workers=workers)
    assert dataset(tmp_path / "three") == rows
    assert asked.total() >= calls


def test_a_stopped_run_is_gone_on_with_in_workers_or_without(
    expected: tuple[dict[str, bytes], int], tmp_path: Path
) -> None:
    asked: Counter[str] = Counter()
    limit, folder = 0, tmp_path / "run"
    for turn in range(100):
        limit += 12_000
        workers = InProcessWorkers(3, opens(asked))
        played_here = {"workers": workers} if turn % 2 else {"open_model": opens(asked)}
        try:
            run(experiment(), folder, limits=Limits(tokens=limit), **played_here)
        except BudgetReached:
            ledger = load_run(folder).ledger()
            used = sum(row["prompt_tokens"] + row["completion_tokens"] for row in ledger)
            assert used <= limit
            continue
        assert turn > 2
        break
    assert dataset(folder) == expected[0]
    assert asked.total() == expected[1]


def test_a_budget_holds_over_four_workers_to_the_call(tmp_path: Path) -> None:
    """No attempt starts that the budget may not cover, whichever worker makes it."""
    spent = 0

    def script(request: Request) -> str:
        return improvise(request)

    class Counted(Model):
        async def complete(self, request: Request) -> ModelReply:
            nonlocal spent
            reply = await super().complete(request)
            spent += reply.usage.prompt_tokens + reply.usage.completion_tokens
            return reply

    workers = InProcessWorkers(4, lambda _: Counted(Counter(), script))
    with pytest.raises(BudgetReached):
        run(experiment(100), tmp_path / "run", workers=workers, limits=Limits(tokens=60_000))
    assert 30_000 < spent <= 60_000


def test_rates_and_concurrency_hold_over_four_workers(tmp_path: Path) -> None:
    starts: list[float] = []
    in_flight = most = 0

    class Slow(Model):
        async def complete(self, request: Request) -> ModelReply:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(2)
            in_flight -= 1
            return await super().complete(request)

    models = {"name": "scripted", "requests_per_minute": 60}
    of = experiment(20, models=models, concurrency=6)
    workers = InProcessWorkers(4, lambda _: Slow(Counter(), improvise))
    run_virtually(run_async(of, tmp_path / "run", workers=workers))
    assert len(starts) > 90
    assert most == 6
    for first, start in enumerate(starts):  # 60 per minute, a tenth of them together
        within = sum(start <= other < start + 30 for other in starts[first:])
        assert within <= 30 + 6 + 1


def refusals(folder: Path, *, n_workers: int) -> int:
    """Return how often an endpoint that accepts three concurrent calls refuses the calls of a
    run."""
    in_flight = refused = 0

    class Busy(Model):
        async def complete(self, request: Request) -> ModelReply:
            nonlocal in_flight, refused
            if in_flight >= 3:
                refused += 1
                await asyncio.sleep(0.1)
                raise Transient("slow down", kind="throttled")
            in_flight += 1
            await asyncio.sleep(1)
            in_flight -= 1
            return await super().complete(request)

    def opened(spec: object) -> ChatModel:
        return Busy(Counter(), improvise)

    models = {"name": "any", "base_url": "http://127.0.0.1:9/v1"}
    of, tally = experiment(12, models=models), RunProgress()
    here = {"workers": InProcessWorkers(n_workers, opened)} if n_workers else {"open_model": opened}
    run_virtually(run_async(of, folder, tally=tally, **here))
    assert refused == tally.counts["retries"]
    return refused


def test_the_limit_of_an_endpoint_is_found_for_all_workers_together(tmp_path: Path) -> None:
    """Four separate limits would cause four times as many refusals."""
    alone = refusals(tmp_path / "alone", n_workers=0)
    assert alone > 10
    assert refusals(tmp_path / "four", n_workers=4) < 2 * alone


def test_an_endpoint_that_is_down_ends_the_run_everywhere(tmp_path: Path) -> None:
    class Revoked(Model):
        async def complete(self, request: Request) -> ModelReply:
            await super().complete(request)
            if asked.total() > 30:
                raise EndpointDown("the key was revoked")
            return await super().complete(request)

    asked: Counter[str] = Counter()
    workers = InProcessWorkers(4, lambda _: Revoked(asked))
    with pytest.raises(EndpointDown, match="the key was revoked"):
        run(experiment(), tmp_path / "run", workers=workers)


def test_hopeless_and_failing_runs_stop_as_in_one_process(tmp_path: Path) -> None:
    def nothing(request: Request) -> str:
        return "no object"

    def half(request: Request) -> str:
        digest = hashlib.blake2b(request.hash.encode()).digest()
        broken = request.role == "generator" and digest[0] % 2
        return "no object" if broken else improvise(request)

    for script, error, of in (
        (nothing, Hopeless, experiment(100)),
        (half, TooManyFailures, experiment(max_failures=3)),
    ):
        said: list[str] = []
        for name, played in (
            ("one", {"open_model": lambda _, s=script: Model(Counter(), s)}),
            ("four", {"workers": InProcessWorkers(4, lambda _, s=script: Model(Counter(), s))}),
        ):
            folder = tmp_path / error.__name__ / name
            with pytest.raises(error) as stopped:
                run(of, folder, **played)
            said.append(str(stopped.value).replace(str(folder), ""))
        assert said[0] == said[1]


def test_an_error_of_a_worker_itself_ends_the_run_with_its_traceback(tmp_path: Path) -> None:
    class Broken(Model):
        async def complete(self, request: Request) -> ModelReply:
            raise ZeroDivisionError("a mistake of ours")

    workers = InProcessWorkers(2, lambda _: Broken(Counter()))
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run(experiment(), tmp_path / "run", workers=workers)


def refusal(setup: Setup) -> str:
    async def start() -> str:
        hello = await Worker().start(setup)
        assert hello.refusal is not None
        error = hello.refusal.error()
        assert isinstance(error, UserError)
        return str(error)

    return asyncio.run(start())


def setup_of(of: Experiment, **changed: object) -> Setup:
    given = {"version": __version__, "fingerprint": of.fingerprint, **changed}
    work = PlayExperiment(of.to_yaml(), given["fingerprint"], of.fingerprint_inputs, "")
    return Setup(0, given["version"], 30, work)


def test_a_worker_that_would_make_another_data_set_is_refused(tmp_path: Path) -> None:
    assert "has convogen" in refusal(setup_of(experiment(), version="0.0.1"))
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    own = Path("experiences")
    for path in list(own.iterdir())[:3]:
        (seeds / path.name).write_bytes(path.read_bytes())
    of = experiment(experiences=str(seeds))
    setup = setup_of(of)
    next(seeds.iterdir()).unlink()
    assert "sources" in refusal(setup)
    assert "identical on every node" in refusal(setup)


def test_a_refused_worker_ends_the_start_with_one_line(tmp_path: Path) -> None:
    keyless = {"name": "gpt-4o", "api_key_env": "NO_SUCH_KEY_HERE"}
    from convogen.models.opening import open_model

    workers = InProcessWorkers(2, open_model)
    with pytest.raises(UserError, match=r"worker 0 on \S+: .*NO_SUCH_KEY_HERE"):
        run(experiment(models=keyless), tmp_path / "run", workers=workers)


def test_no_secret_is_in_what_a_worker_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    models = {"name": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "MY_KEY"}
    workers = InProcessWorkers(1, lambda _: Model(Counter(), improvise))
    run(experiment(1, models=models), tmp_path / "run", workers=workers)
    assert "sk-very-secret-key" not in repr(workers.setups)
    assert "MY_KEY" in repr(workers.setups)
