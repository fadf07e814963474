"""A call that always fails while others are answered, and an endpoint that answers no calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from virtual_time import run_virtually

from convogen.errors import EndpointDown, ModelFault
from convogen.models.base import FaultKind, Message, ModelReply, Request, Sampling, Transient
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.router import Role, RoutedReply, Traffic
from convogen.models.traffic.trouble import PROBE, TIME_OUTS
from convogen.records import Usage

Lost = tuple[Usage, int, float]
MINUTE_S = 60.0
URL = "http://127.0.0.1:1/v1"


class Picky:
    """An endpoint that takes half a second and fails for the calls in `fails`."""

    def __init__(self, fails: Callable[[str, float], bool], kind: FaultKind = "server") -> None:
        self.fails = fails
        self.kind: FaultKind = kind
        self.asked: list[str] = []

    async def complete(self, request: Request) -> ModelReply:
        said = request.messages[0].content
        self.asked.append(said)
        await asyncio.sleep(0.5)
        if self.fails(said, asyncio.get_running_loop().time()):
            raise Transient("answered 500: boom", kind=self.kind)
        return ModelReply("yes", Usage(prompt_tokens=6, completion_tokens=1), "stop")

    async def close(self) -> None:
        """Do nothing."""


class Called:
    """Calls to one picky endpoint and their outcomes."""

    def __init__(self, model: Picky, **spec: object) -> None:
        self.lost: list[Lost] = []
        of = ModelSpec(name="m", base_url=URL, **spec)  # type: ignore[arg-type]
        self._traffic = Traffic({"agent": Role(of, Sampling())}, 64, RunProgress(), lambda _: model)

    async def ask(self, text: str, priority: int = 0) -> RoutedReply | ModelFault | EndpointDown:
        request = Request("agent", "m", (Message("user", text),), Sampling(seed=1))
        try:
            return await self._traffic.complete(
                request, priority, on_lost=lambda *lost: self.lost.append(lost)
            )
        except (ModelFault, EndpointDown) as error:
            return error


@pytest.mark.parametrize("kind", ["server", "unreadable", "connection"])
def test_a_call_that_fails_alone_is_given_up_within_a_minute(kind: FaultKind) -> None:
    async def main() -> None:
        model = Picky(lambda said, _: said == "poison", kind)
        called = Called(model)
        given = await called.ask("poison")
        assert isinstance(given, ModelFault)
        assert given.kind == "endpoint_fault"
        assert "500: boom" in str(given)
        assert asyncio.get_running_loop().time() < MINUTE_S
        assert PROBE in model.asked, (
            "without other calls, a probe must show that the call is at fault"
        )
        told = [(usage, attempts) for usage, attempts, _ in called.lost]
        assert (Usage(prompt_tokens=6, completion_tokens=1), 0) in told, "the probe must be counted"
        assert isinstance(await called.ask("harmless"), RoutedReply)

    run_virtually(main())


def test_several_that_fail_for_ever_end_too_and_the_others_are_answered() -> None:
    async def main() -> None:
        model = Picky(lambda said, _: said.startswith("poison"))
        called = Called(model)
        texts = [*(f"poison {n}" for n in range(16)), *(f"fine {n}" for n in range(4))]
        given = await asyncio.gather(*(called.ask(text, n) for n, text in enumerate(texts)))
        assert [type(each) for each in given] == [ModelFault] * 16 + [RoutedReply] * 4
        assert len(model.asked) < 300
        assert asyncio.get_running_loop().time() < 2 * MINUTE_S

    run_virtually(main())


@pytest.mark.parametrize("until_s", [30.0, 600.0])
def test_a_call_that_meets_an_outage_alone_is_answered_after_it(until_s: float) -> None:
    async def main() -> None:
        called = Called(Picky(lambda _, now: now < until_s))
        assert isinstance(await called.ask("harmless"), RoutedReply)

    run_virtually(main())


def test_a_call_that_times_out_alone_is_given_up_after_a_few_times() -> None:
    async def main() -> None:
        model = Picky(lambda said, _: said == "poison", "time-out")
        assert isinstance(await Called(model).ask("poison"), ModelFault)
        assert model.asked.count("poison") <= TIME_OUTS + 1

    run_virtually(main())


def test_an_endpoint_at_which_only_probes_fail_is_found_again_by_a_call() -> None:
    async def main() -> None:
        model = Picky(lambda said, now: said == PROBE or now < 20)
        given = await Called(model).ask("harmless")
        assert isinstance(given, RoutedReply)

    run_virtually(main())


def test_what_never_was_a_completion_stops_at_once_with_what_a_base_url_looks_like() -> None:
    async def main() -> None:
        model = Picky(lambda *_: True, "unreadable")
        called = Called(model, fallback=[])
        given = await asyncio.gather(*(called.ask(f"call {n}", n) for n in range(16)))
        assert all(isinstance(each, EndpointDown) for each in given)
        assert "--base-url" in str(given[0])
        assert asyncio.get_running_loop().time() < 5
        assert len(model.asked) < 20

    run_virtually(main())


def test_what_once_was_a_completion_is_waited_for() -> None:
    async def main() -> None:
        called = Called(Picky(lambda _, now: 2 < now < 300, "unreadable"))
        assert isinstance(await called.ask("first"), RoutedReply)
        await asyncio.sleep(3)
        assert isinstance(await called.ask("second"), RoutedReply)

    run_virtually(main())
