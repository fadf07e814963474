"""Budgets are never exceeded but used well, and no typical call would exceed a deadline."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually

from convogen.errors import BudgetReached, EndpointDown, ModelFault
from convogen.models.base import Message, Request, Sampling, Transient
from convogen.models.spec import Price
from convogen.models.traffic.admission import AdmissionQueue
from convogen.models.traffic.budget import Budget, Limits, Reservation
from convogen.records import Usage

PRICE = Price(input=3.0, output=11.0, cached=1.0)


def request(text: str = "hello", role: str = "agent", cap: int | None = 50) -> Request:
    return Request(role, "m", (Message("user", text),), Sampling(max_tokens=cap))


def part_of(estimate: Usage, rng: random.Random) -> Usage:
    """Return a usage of at least one token and at most the estimate."""
    prompt = rng.randint(1, estimate.prompt_tokens)
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=rng.randint(0, prompt),
        completion_tokens=rng.randint(0, estimate.completion_tokens),
    )


@given(st.randoms(use_true_random=False), st.floats(0, 0.05), st.integers(0, 20_000))
def test_spent_and_reserved_never_pass_a_limit(rng: random.Random, usd: float, tokens: int) -> None:
    budget = Budget(Limits(usd, tokens), {"agent": PRICE.usd}, spent_usd=usd / 7, spent_tokens=3)
    spent_usd, spent_tokens = usd / 7, 3
    held: list[Reservation] = []
    for _ in range(60):
        if held and rng.random() < 0.5:
            reservation = held.pop(rng.randrange(len(held)))
            took = part_of(reservation.estimate, rng)
            match rng.randrange(3):
                case 0:
                    reservation.settle(took)
                case 1:
                    took = reservation.lost()
                case _:
                    reservation.release()
                    took = Usage()
            spent_usd += PRICE.usd(took)
            spent_tokens += took.prompt_tokens + took.completion_tokens
        elif (admitted := budget.admit(request("x" * rng.randrange(900)))) is not None:
            held.append(admitted)
        assert budget.spent_usd == pytest.approx(spent_usd)
        assert budget.spent_tokens == spent_tokens
        assert budget.spent_usd + budget.reserved_usd <= usd + 1e-12 or not held
        assert budget.spent_tokens + budget.reserved_tokens <= max(tokens, 3)
        assert budget.outstanding == len(held)


@given(st.text(max_size=300), st.integers(1, 500))
def test_an_estimate_is_no_less_than_the_bytes_of_the_prompt_and_the_cap(
    text: str, cap: int
) -> None:
    asked = Request(
        "agent", "m", (Message("user", text),), Sampling(max_tokens=cap), schema={"a": text}
    )
    estimate = Budget().estimate(asked)
    assert estimate.prompt_tokens > 2 * len(text.encode())
    assert estimate.completion_tokens == cap


def test_a_cap_in_the_further_keys_of_the_body_counts() -> None:
    sampling = Sampling(max_tokens=5, extra={"max_completion_tokens": 700})
    asked = Request("agent", "m", (Message("user", "x"),), sampling)
    assert Budget().estimate(asked).completion_tokens == 700


def test_without_a_cap_the_longest_reply_seen_is_a_measure() -> None:
    budget = Budget()
    assert budget.estimate(request(cap=None)).completion_tokens >= 4096
    held = budget.admit(request(cap=None))
    assert held is not None
    held.settle(Usage(prompt_tokens=9, completion_tokens=5000))
    assert budget.estimate(request(cap=None)).completion_tokens == 10_000
    assert budget.estimate(request(cap=None, role="selector")).completion_tokens < 10_000


def test_an_endpoint_that_reports_more_than_was_thought_possible_is_believed() -> None:
    budget = Budget()
    held = budget.admit(request())
    assert held is not None
    held.settle(Usage(prompt_tokens=5000, completion_tokens=80))
    estimate = budget.estimate(request())
    assert estimate.prompt_tokens >= 5000
    assert estimate.completion_tokens == 80


def test_an_answer_without_a_usage_counts_at_its_estimate() -> None:
    budget = Budget(Limits(tokens=10_000))
    held = budget.admit(request())
    assert held is not None
    held.settle(Usage())
    assert budget.spent_tokens == held.estimate.prompt_tokens + held.estimate.completion_tokens
    assert not held.reported


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_call_is_not_begun_when_its_usual_latency_would_pass_the_deadline() -> None:
    clock = Clock()
    budget = Budget(Limits(deadline_s=60), clock=clock)
    for _ in range(20):
        held = budget.admit(request(role="slow"))
        assert held is not None
        clock.now_s += 2.0
        held.settle(Usage(prompt_tokens=1))
    assert budget.deadline == 160.0
    clock.now_s = 157.9
    assert budget.admit(request(role="slow")) is not None
    clock.now_s = 158.1
    assert budget.admit(request(role="slow")) is None
    assert budget.admit(request(role="quick")) is not None
    clock.now_s = 160.1
    assert budget.admit(request(role="quick")) is None


@dataclass
class World:
    """Many concurrent callers, whose usage is recorded independently of the budget."""

    budget: Budget
    rng: random.Random
    most_usd: float = 0.0
    took: list[Usage] = field(default_factory=list[Usage])
    lost: list[Usage] = field(default_factory=list[Usage])
    reached: list[Request] = field(default_factory=list[Request])

    async def caller(self, gate: AdmissionQueue, task: int) -> None:
        for _ in range(40):
            asked = request("x" * self.rng.randrange(300), cap=self.rng.choice([5, 50, 400]))
            try:
                async with gate.attempt(asked, task, self._on_lost) as held:
                    for _ in range(self.rng.randrange(4)):
                        await asyncio.sleep(0)
                    await self._answer(held)
            except Transient:
                continue
            except BudgetReached:
                self.reached.append(asked)
                return

    async def _answer(self, held: Reservation) -> None:
        budget = self.budget
        self.most_usd = max(self.most_usd, budget.spent_usd + budget.reserved_usd)
        if self.rng.random() < 0.1:
            raise Transient("refused")
        if self.rng.random() < 0.1:
            raise Transient("reset")
        usage = part_of(held.estimate, self.rng)
        self.took.append(usage)
        held.settle(usage)

    def _on_lost(self, usage: Usage, attempts: int, seconds: float) -> None:
        assert attempts == 1
        assert seconds >= 0
        self.lost.append(usage)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.floats(0.004, 0.05))
def test_many_callers_use_a_budget_up_and_do_not_pass_it(seed: int, usd: float) -> None:
    budget = Budget(Limits(usd), {"agent": PRICE.usd})
    world = World(budget, random.Random(seed))

    async def play() -> None:
        gate = AdmissionQueue(budget)
        async with asyncio.timeout(20):
            await asyncio.gather(*(world.caller(gate, task) for task in range(8)))

    asyncio.run(play())
    spent = sum(PRICE.usd(usage) for usage in [*world.took, *world.lost])
    assert spent == pytest.approx(budget.spent_usd)
    assert world.most_usd <= usd + 1e-12
    assert budget.outstanding == budget.reserved_tokens == 0
    for asked in world.reached:
        assert spent + PRICE.usd(budget.estimate(asked)) > usd


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        (Transient("429", kind="throttled"), False),
        (Transient("reset", kind="connection"), True),
        (ModelFault("refusal", "refused", billed=True), True),
        (ModelFault("context_length", "too long"), False),
        (EndpointDown("401"), False),
        (asyncio.CancelledError(), True),
        (ZeroDivisionError(), True),
    ],
)
def test_what_may_have_been_billed_counts(fault: BaseException, counts: bool) -> None:
    budget = Budget(Limits(tokens=1000))
    lost: list[Usage] = []

    async def play() -> None:
        async with AdmissionQueue(budget).attempt(
            request(), 0, lambda usage, *_: lost.append(usage)
        ):
            raise fault

    with pytest.raises(type(fault)):
        asyncio.run(play())
    assert (budget.spent_tokens > 0) is counts
    assert len(lost) == counts
    assert budget.outstanding == 0


def test_one_that_is_given_up_while_it_waits_holds_nothing_back() -> None:
    budget = Budget(Limits(tokens=300))

    async def hold(gate: AdmissionQueue, going: asyncio.Event) -> None:
        async with gate.attempt(request(), 0) as held:
            await going.wait()
            held.settle(Usage(prompt_tokens=10))

    async def play() -> None:
        gate, going = AdmissionQueue(budget), asyncio.Event()
        first = asyncio.create_task(hold(gate, going))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(hold(gate, going)) for _ in range(3)]
        await asyncio.sleep(0)
        assert budget.outstanding == 2
        waiting[1].cancel()
        going.set()
        await asyncio.wait([first, *waiting])
        assert waiting[1].cancelled()

    asyncio.run(play())
    assert budget.spent_tokens == 30
    assert budget.outstanding == 0


def test_a_drained_queue_waits_for_attempts_in_flight_and_admits_no_more() -> None:
    budget = Budget()

    async def hold(gate: AdmissionQueue, going: asyncio.Event) -> None:
        async with gate.attempt(request(), 0) as held:
            await going.wait()
            held.settle(Usage(prompt_tokens=10))

    async def play() -> None:
        gate, going = AdmissionQueue(budget), asyncio.Event()
        first = asyncio.create_task(hold(gate, going))
        await asyncio.sleep(0)
        draining = asyncio.create_task(gate.drain())
        await asyncio.sleep(0)
        second = asyncio.create_task(hold(gate, going))
        await asyncio.sleep(0)
        assert not draining.done()
        going.set()
        await asyncio.wait([first, draining, second])
        assert not first.cancelled()
        assert second.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await hold(gate, going)

    asyncio.run(play())
    assert budget.spent_tokens == 10
    assert budget.outstanding == 0


def test_a_deadline_during_the_wait_for_answers_does_not_hide_the_error() -> None:
    budget = Budget(Limits(deadline_s=1), clock=lambda: 0.0)

    async def answered_after_3_s(gate: AdmissionQueue) -> None:
        async with gate.attempt(request(), 0) as held:
            await asyncio.sleep(3)
            held.settle(Usage(prompt_tokens=10))

    async def play() -> None:
        gate = AdmissionQueue(budget)
        call = asyncio.create_task(answered_after_3_s(gate))
        await asyncio.sleep(0)
        async with gate.until_deadline():
            try:
                raise EndpointDown("gone")
            finally:
                await gate.drain()
                assert call.done()

    with pytest.raises(EndpointDown, match="gone"):
        run_virtually(play())
    assert budget.spent_tokens == 10
