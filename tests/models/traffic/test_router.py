"""Traffic with simulated endpoints, in an event loop whose clock jumps ahead."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtually

from convogen.errors import EndpointDown, ExperimentError, ModelConfigError, ModelFault
from convogen.experiment.experiment import Experiment
from convogen.models.base import (
    FaultKind,
    Message,
    ModelReply,
    Request,
    Sampling,
    Transient,
    Unreached,
)
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.admission import AdmissionQueue
from convogen.models.traffic.budget import Budget, Limits
from convogen.models.traffic.rate_limit import PerMinute
from convogen.models.traffic.router import Role, RoutedReply, Traffic
from convogen.models.traffic.trouble import FAULTS
from convogen.records import Usage

Fault = Callable[[Request, float], Exception | None]


class Simulated:
    """An endpoint with a number of slots, in which each call takes a fixed time; other calls
    queue."""

    def __init__(
        self, *, slots: int = 10_000, seconds: float = 1.0, fault: Fault = lambda *_: None
    ) -> None:
        self.seconds = seconds
        self.fault = fault
        self.started: list[float] = []
        self.answered = 0
        self.in_flight = self.most_in_flight = 0
        self._slots = asyncio.Semaphore(slots)

    async def complete(self, request: Request) -> ModelReply:
        now = asyncio.get_running_loop().time
        self.started.append(now())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if (fault := self.fault(request, now())) is not None:
                await asyncio.sleep(0.01)
                raise fault
            async with self._slots:
                await asyncio.sleep(self.seconds)
            self.answered += 1
            return ModelReply("yes", Usage(prompt_tokens=60, completion_tokens=40), "stop")
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Do nothing."""


def throttled(after_s: float | None = None, kind: FaultKind = "throttled") -> Transient:
    return Transient("answered 429: slow down", after_s, kind)


def spec(url: str = "http://127.0.0.1:1/v1", **more: object) -> ModelSpec:
    return ModelSpec(name="m", base_url=url, **more)  # type: ignore[arg-type]


def request(text: str = "hello") -> Request:
    return Request("agent", "m", (Message("user", text),), Sampling(seed=1))


class Setup:
    """Traffic with simulated endpoints, which are identified by their URLs."""

    def __init__(self, of: ModelSpec, ceiling: int, models: dict[str | None, Simulated]) -> None:
        self.tally = RunProgress()
        self.notices: list[str] = []
        self.tally.on_notice = self.notices.append
        roles = {"agent": Role(of, Sampling())}
        self.traffic = Traffic(roles, ceiling, self.tally, lambda one: models[one.base_url])

    @property
    def limit(self) -> int:
        [endpoint] = self.traffic._endpoints.values()
        return endpoint.limit.now

    async def ask(self, n: int, workers: int = 500) -> list[RoutedReply | BaseException]:
        """Make `n` calls with a number of workers, each of which continues after an answer."""
        left = iter(range(n))
        results: list[RoutedReply | BaseException] = []

        async def work() -> None:
            for number in left:
                try:
                    results.append(await self.traffic.complete(request(f"call {number}"), number))
                except (ModelFault, EndpointDown) as error:
                    results.append(error)

        await asyncio.gather(*(work() for _ in range(workers)))
        return results


def of(url: str | None, model: Simulated) -> dict[str | None, Simulated]:
    return {url: model}


@pytest.mark.parametrize("slots", [4, 40, 200])
def test_the_limit_grows_to_what_the_endpoint_can_do_and_not_far_beyond(slots: int) -> None:
    async def main() -> None:
        model = Simulated(slots=slots)
        setup = Setup(spec(), 512, of(spec().base_url, model))
        n = 60 * slots
        started = asyncio.get_running_loop().time()
        await setup.ask(n)
        took_s = asyncio.get_running_loop().time() - started
        assert n / took_s >= 0.9 * slots, "the endpoint must be kept busy"
        assert slots <= setup.limit <= max(2 * slots, 16)

    run_virtually(main())


def test_the_search_for_the_limit_costs_a_long_run_little() -> None:
    """512 chats of 16 calls each use 512 slots, measured from a fifth to four fifths of the
    answers."""

    async def main() -> None:
        rng = random.Random(1)
        model = Simulated(slots=512)

        def vary(_request: Request, _now: float) -> None:
            model.seconds = rng.uniform(1, 1.3)

        model.fault = vary
        setup = Setup(spec(), 512, of(spec().base_url, model))
        ended: list[float] = []

        async def chat(number: int) -> None:
            for call in range(16):
                await setup.traffic.complete(request(f"{number} {call}"), number)
                ended.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(chat(number) for number in range(512)))
        first, last = ended[len(ended) // 5], ended[4 * len(ended) // 5]
        assert 0.6 * len(ended) * 1.15 >= 0.95 * 512 * (last - first)

    run_virtually(main())


def test_with_varying_latency_the_endpoint_is_kept_busy() -> None:
    async def main() -> None:
        rng = random.Random(3)
        model = Simulated(slots=64)

        def vary(_request: Request, _now: float) -> None:
            model.seconds = rng.lognormvariate(0, 0.5)

        model.fault = vary
        setup = Setup(spec(), 512, of(spec().base_url, model))
        started = asyncio.get_running_loop().time()
        await setup.ask(6000)
        took_s = asyncio.get_running_loop().time() - started
        assert took_s <= 1.25 * 6000 * 1.133 / 64

    run_virtually(main())


def test_the_limit_gives_way_where_more_calls_are_refused() -> None:
    async def main() -> None:
        model = Simulated()
        model.fault = lambda *_: throttled() if model.in_flight > 20 else None
        setup = Setup(spec(), 256, of(spec().base_url, model))
        await setup.ask(4000)
        assert model.answered == 4000
        assert 8 <= setup.limit <= 40
        assert len(model.started) <= 1.4 * 4000, "only few calls may be refused"

    run_virtually(main())


def test_refusals_that_have_nothing_to_do_with_the_load_are_borne() -> None:
    async def main() -> None:
        rng = random.Random(5)
        model = Simulated(fault=lambda *_: throttled() if rng.random() < 0.2 else None)
        setup = Setup(spec(), 256, of(spec().base_url, model))
        await setup.ask(8000)
        assert model.answered == 8000
        assert setup.limit >= 64, "the endpoint must not be starved"

    run_virtually(main())


def test_time_outs_lower_the_limit() -> None:
    async def main() -> None:
        model = Simulated()
        model.fault = lambda *_: throttled(kind="time-out") if model.in_flight > 10 else None
        setup = Setup(spec(), 256, of(spec().base_url, model))
        await setup.ask(3000)
        assert setup.limit <= 20

    run_virtually(main())


def test_where_the_same_calls_take_longer_fewer_are_made_for_a_while() -> None:
    async def main() -> None:
        model = Simulated(seconds=1)
        setup = Setup(spec(), 128, of(spec().base_url, model))
        await setup.ask(5000)
        assert setup.limit == 128
        model.seconds = 3
        limits: list[int] = []
        model.fault = lambda *_: limits.append(setup.limit)
        await setup.ask(1500)
        assert min(limits) < 128
        assert setup.limit == 128, "the calls became longer, so a lower limit did not help"

    run_virtually(main())


@pytest.mark.parametrize("down_s", [20.0, 60.0, 300.0])
def test_a_run_waits_for_an_endpoint_that_is_down_and_goes_on(down_s: float) -> None:
    async def main() -> None:
        def fault(_request: Request, now: float) -> Exception | None:
            down = 10 <= now < 10 + down_s
            return Transient("cannot be reached", kind="connection") if down else None

        model = Simulated(fault=fault)
        setup = Setup(spec(), 64, of(spec().base_url, model))
        results = await setup.ask(2000)
        assert all(isinstance(each, RoutedReply) for each in results)
        tried_while_down = [at for at in model.started if 12 <= at < 10 + down_s]
        assert len(tried_while_down) <= 64 + down_s / 2, (
            "the endpoint is left alone, with occasional probes"
        )
        assert max(at for at in model.started if at >= 10 + down_s) > 10 + down_s
        resumed = min(at for at in model.started if at >= 10 + down_s)
        assert resumed - (10 + down_s) <= 31, "the recovered endpoint must be found soon"
        assert setup.notices[0].startswith("paused: cannot be reached; retrying in ")
        assert setup.notices[-1] == setup.tally.notice == ""

    run_virtually(main())


def test_patience_with_an_endpoint_ends() -> None:
    async def main() -> None:
        model = Simulated(fault=lambda *_: Transient("answered 502: bad gateway"))
        setup = Setup(spec(patience_s=120), 64, of(spec().base_url, model))
        results = await setup.ask(100)
        assert all(isinstance(each, EndpointDown) for each in results)
        assert "502" in str(results[0])
        assert "patience_s is 120" in str(results[0])
        assert asyncio.get_running_loop().time() <= 121
        assert len(model.started) < 100

    run_virtually(main())


def test_retry_after_is_kept_to_the_second() -> None:
    async def main() -> None:
        refused = [True]
        model = Simulated(fault=lambda *_: throttled(47.0) if refused and refused.pop() else None)
        setup = Setup(spec(), 4, of(spec().base_url, model))
        done = await setup.traffic.complete(request(), 0)
        assert done.attempts == 2
        assert model.started[1] - model.started[0] >= 47

    run_virtually(main())


def test_retry_after_holds_all_calls_and_is_told() -> None:
    async def main() -> None:
        model = Simulated(fault=lambda asked, now: throttled(47.0) if now == 1 else None)
        setup = Setup(spec(), 8, of(spec().base_url, model))
        results = await setup.ask(60, workers=8)
        assert all(isinstance(each, RoutedReply) for each in results)
        assert not [at for at in model.started if 1.02 < at < 48], (
            "all of the endpoint's calls must wait"
        )
        assert setup.notices[0] == "paused: answered 429: slow down; retrying in 47 s"
        assert setup.notices[-1] == ""

    run_virtually(main())


def test_a_retry_after_past_our_patience_ends_it_or_goes_to_the_fallback() -> None:
    async def main(fallback: bool) -> list[RoutedReply | BaseException]:
        other = ModelSpec(name="other", base_url="http://127.0.0.1:2/v1")
        models = {
            spec().base_url: Simulated(fault=lambda *_: throttled(7200.0)),
            other.base_url: Simulated(),
        }
        setup = Setup(spec(patience_s=600, fallback=[other] if fallback else []), 16, models)
        results = await setup.ask(40, workers=20)
        assert asyncio.get_running_loop().time() < 60
        return results

    assert all(isinstance(each, RoutedReply) for each in run_virtually(main(True)))
    told = "delay of 7200 s exceeds patience_s, which is 600"
    assert all(told in str(each) for each in run_virtually(main(False)))


def test_a_model_that_one_endpoint_lacks_is_asked_of_the_fallback() -> None:
    async def main(fallback: bool) -> list[RoutedReply | BaseException]:
        other = ModelSpec(name="other", base_url="http://127.0.0.1:2/v1")
        lacking: Fault = lambda *_: ModelConfigError("404: no such model")  # noqa: E731
        models = {spec().base_url: Simulated(fault=lacking), other.base_url: Simulated()}
        return await Setup(spec(fallback=[other] if fallback else []), 16, models).ask(40)

    assert all(isinstance(each, RoutedReply) for each in run_virtually(main(True)))
    with pytest.raises(ModelConfigError, match="404: no such model"):
        run_virtually(main(False))


def test_a_pause_is_no_longer_told_once_the_endpoint_answers_that_a_request_is_at_fault() -> None:
    async def main() -> None:
        def fault(asked: Request, now: float) -> Exception | None:
            return Transient("reset") if now < 1 else ModelFault("refused", "too long")

        setup = Setup(spec(), 16, of(spec().base_url, Simulated(fault=fault)))
        await setup.ask(30, workers=16)
        assert setup.notices[0].startswith("paused: ")
        assert setup.notices[-1] == ""

    run_virtually(main())


def test_waiting_for_the_budget_is_not_the_endpoint_s_time() -> None:
    async def main() -> None:
        asked = request()
        most = Budget().estimate(asked)
        one_by_one = Limits(tokens=int(1.5 * (most.prompt_tokens + most.completion_tokens)))
        setup = Setup(spec(), 2, of(spec().base_url, Simulated()))
        setup.traffic._gate = AdmissionQueue(Budget(one_by_one))
        done = await asyncio.gather(*(setup.traffic.complete(request(), n) for n in range(2)))
        assert [each.seconds for each in done] == [1.0, 1.0]

    run_virtually(main())


def test_all_calls_wait_where_every_call_is_told_to() -> None:
    async def main() -> None:
        model = Simulated(fault=lambda _, now: throttled(30.0) if now < 25 else None)
        setup = Setup(spec(), 64, of(spec().base_url, model))
        await setup.ask(500)
        assert len([at for at in model.started if at < 25]) <= 80
        assert model.answered == 500 + 1, "the calls and the probe that found the endpoint"

    run_virtually(main())


@pytest.mark.parametrize("bound", [{"requests_per_minute": 600}, {"tokens_per_minute": 60_000}])
def test_limits_a_minute_are_kept_and_used(bound: dict[str, int]) -> None:
    async def main() -> None:
        model = Simulated(seconds=0.1)
        setup = Setup(spec(**bound), 64, of(spec().base_url, model))
        await setup.ask(3000)
        for second in range(int(model.started[-1]) - 60):
            minute = [at for at in model.started if second <= at < second + 60]
            assert len(minute) <= 600 * 1.1 + 64
        assert model.started[-1] <= 300 * 1.1, (
            "600 calls of 100 tokens, or 60,000 tokens, per minute"
        )

    run_virtually(main())


@given(
    limit=st.integers(1, 10_000),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=200),
    amount=st.integers(1, 50),
)
def test_no_minute_gets_more_than_its_limit(limit: int, gaps: Sequence[float], amount: int) -> None:
    bucket, now, taken = PerMinute(limit), 0.0, []
    for gap in gaps:
        now = max(now + gap, bucket.free_at(now + gap))
        bucket.take(amount, now)
        taken.append(now)
    burst = max(1.0, limit / 10)
    for start in taken:
        in_minute = sum(amount for at in taken if start <= at < start + 60)
        assert in_minute <= limit + burst + amount + 1e-6


def test_replicas_share_the_calls_by_how_fast_they_are() -> None:
    async def main() -> None:
        urls = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
        fast, slow = Simulated(slots=16, seconds=0.5), Simulated(slots=16, seconds=2)
        setup = Setup(
            spec(urls[0], replicas=[urls[1]]), 16, dict(zip(urls, (fast, slow), strict=True))
        )
        await setup.ask(2000)
        assert fast.answered + slow.answered == 2000
        assert 3 <= fast.answered / slow.answered <= 5

    run_virtually(main())


def test_a_task_stays_with_the_replica_that_knows_its_prompt() -> None:
    async def main() -> None:
        urls = [f"http://127.0.0.1:{n}/v1" for n in (1, 2, 3)]
        models = {url: Simulated() for url in urls}
        setup = Setup(spec(urls[0], replicas=urls[1:]), 16, dict(models))
        stayed: Counter[bool] = Counter()

        async def chat(number: int) -> None:
            before = None
            for _ in range(20):
                done = await setup.traffic.complete(request(), number, before)
                if before is not None:
                    stayed[done.endpoint is before] += 1
                before = done.endpoint

        await asyncio.gather(*(chat(number) for number in range(30)))
        assert stayed[True] >= 0.9 * stayed.total()
        assert min(model.answered for model in models.values()) >= 150

    run_virtually(main())


def test_a_replica_that_is_down_is_done_without() -> None:
    async def main() -> None:
        urls = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
        down = Simulated(fault=lambda *_: Transient("reset", kind="connection"))
        models = dict(zip(urls, (down, Simulated()), strict=True))
        setup = Setup(spec(urls[0], replicas=[urls[1]]), 16, models)
        results = await setup.ask(500)
        assert all(isinstance(each, RoutedReply) for each in results)
        assert len(down.started) <= 60

    run_virtually(main())


def test_a_replica_that_starts_late_is_used_once_it_is_there() -> None:
    """The replica was given up earlier, at the first call for which it was not available."""

    async def main() -> None:
        urls = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
        late = Simulated(fault=lambda _, now: Unreached("not there") if now < 20 else None)
        models = dict(zip(urls, (late, Simulated()), strict=True))
        setup = Setup(spec(urls[0], replicas=[urls[1]]), 16, models)
        results = await setup.ask(2000, workers=40)
        assert all(isinstance(each, RoutedReply) for each in results)
        assert late.answered > 300
        assert sum(start < 20 for start in late.started) <= 16 + 5  # paused, with occasional probes
        assert "not there" in setup.notices[0]
        assert setup.notices[-1] == ""

    run_virtually(main())


@pytest.mark.parametrize("more", [{"replicas": ["http://127.0.0.1:2/v1"]}, {}])
def test_a_model_that_is_nowhere_ends_the_run_at_once(more: dict[str, object]) -> None:
    async def main() -> None:
        nowhere = Simulated(fault=lambda *_: Unreached("nothing listens there"))
        models = {"http://127.0.0.1:1/v1": nowhere, "http://127.0.0.1:2/v1": nowhere}
        setup = Setup(spec(**more), 16, dict(models))
        began = asyncio.get_running_loop().time()
        results = await setup.ask(5, workers=5)
        assert {str(each) for each in results} == {"nothing listens there"}
        assert asyncio.get_running_loop().time() - began < 5

    run_virtually(main())


def test_a_fallback_answers_while_the_endpoint_is_down_and_no_longer() -> None:
    async def main() -> None:
        other = ModelSpec(name="other", base_url="http://127.0.0.1:2/v1")
        fault: Fault = lambda _, now: throttled() if 10 <= now < 100 else None  # noqa: E731
        models = {spec().base_url: Simulated(fault=fault), other.base_url: Simulated()}
        setup = Setup(spec(fallback=[other]), 16, models)
        results = await setup.ask(6000, workers=40)
        assert all(isinstance(each, RoutedReply) for each in results)
        at = models[other.base_url].started
        assert at
        assert at[0] >= 10
        assert at[-1] <= 131
        answered_by = Counter(
            each.endpoint.spec.name for each in results if isinstance(each, RoutedReply)
        )
        assert answered_by["other"] == len(at)

    run_virtually(main())


def test_a_key_that_is_refused_stops_the_run_unless_there_is_a_fallback() -> None:
    async def main(fallback: bool) -> list[RoutedReply | BaseException]:
        other = ModelSpec(name="other", base_url="http://127.0.0.1:2/v1")
        revoked: Fault = lambda _, now: EndpointDown("401: bad key") if now > 5 else None  # noqa: E731
        models = {spec().base_url: Simulated(fault=revoked), other.base_url: Simulated()}
        setup = Setup(spec(fallback=[other] if fallback else []), 16, models)
        return await setup.ask(300, workers=20)

    assert all(isinstance(each, RoutedReply) for each in run_virtually(main(True)))
    without = run_virtually(main(False))
    assert any(isinstance(each, RoutedReply) for each in without)
    assert {str(each) for each in without if not isinstance(each, RoutedReply)} == {"401: bad key"}


def test_a_request_that_always_fails_does_not_hold_the_others_up() -> None:
    async def main() -> None:
        def fault(asked: Request, _now: float) -> Exception | None:
            poison = asked.messages[0].content == "call 7"
            return Transient("answered 500: boom") if poison else None

        model = Simulated(fault=fault)
        setup = Setup(spec(), 16, of(spec().base_url, model))
        results = await setup.ask(1000, workers=50)
        [failed] = [each for each in results if not isinstance(each, RoutedReply)]
        assert isinstance(failed, ModelFault)
        assert failed.kind == "endpoint_fault"
        assert len(model.started) == 999 + FAULTS

    run_virtually(main())


def test_the_earliest_task_is_let_in_first_and_a_cancelled_one_leaves_its_place() -> None:
    async def main() -> None:
        order: list[str] = []

        def note(asked: Request, _now: float) -> None:
            order.append(asked.messages[0].content)

        model = Simulated(fault=note)
        setup = Setup(spec(), 1, of(spec().base_url, model))
        calls = {
            number: asyncio.create_task(setup.traffic.complete(request(str(number)), number))
            for number in (9, 5, 7, 1, 3)
        }
        await asyncio.sleep(0.5)
        calls[3].cancel()
        calls[9].cancel()  # it is in flight
        await asyncio.wait(calls.values())
        assert order == ["9", "1", "5", "7"]
        assert await setup.traffic.complete(request("last"), 0)

    run_virtually(main())


def test_another_model_as_fallback_is_another_experiment() -> None:
    url = "http://127.0.0.1:1/v1"

    def fingerprint(**more: object) -> str:
        return Experiment(
            {"name": "x", "models": {"name": "m", "base_url": url, **more}}
        ).fingerprint

    plain = fingerprint()
    assert plain == fingerprint(replicas=["http://127.0.0.1:2/v1"], requests_per_minute=5)
    assert plain == fingerprint(fallback=[{"name": "m", "base_url": "http://127.0.0.1:2/v1"}])
    assert plain != fingerprint(fallback=[{"name": "other", "base_url": url}])
    with pytest.raises(ExperimentError, match="a fallback cannot have its own"):
        fingerprint(fallback=[{"name": "a", "fallback": ["b"]}])
    with pytest.raises(ExperimentError, match="must be an HTTP or"):
        fingerprint(replicas=["here"])


def test_no_password_of_a_replica_or_fallback_is_written_down() -> None:
    url = "http://user:hidden-word@127.0.0.1:1/v1"
    models = {"name": "m", "base_url": url, "replicas": [url]}
    text = Experiment(
        {"name": "x", "models": {**models, "fallback": [{"name": "o", "base_url": url}]}}
    ).to_yaml()
    assert "hidden-word" not in text
    assert text.count("http://127.0.0.1:1/v1") == 3
