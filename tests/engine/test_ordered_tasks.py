"""The fate of unfinished tasks when one task ends the run."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_virtually

from convogen.engine.ordered_tasks import ANSWERS_S, OrderedTaskRunner


@pytest.mark.parametrize(("takes_s", "kept"), [(ANSWERS_S / 2, [1]), (ANSWERS_S * 2, [])])
def test_answers_on_their_way_are_kept_when_another_task_breaks(
    takes_s: float, kept: list[int]
) -> None:
    answered: list[int] = []

    async def play(number: int) -> int:
        if number == 0:
            raise ValueError("refused")
        await asyncio.sleep(takes_s)
        answered.append(number)
        return number

    async def work() -> None:
        with pytest.raises(ValueError, match="refused"):
            async with OrderedTaskRunner(play, 0) as line:
                await line.next(2)

    run_virtually(work())
    assert answered == kept


def test_tasks_are_cancelled_if_the_wait_for_answers_is_interrupted() -> None:
    cancelled: list[int] = []

    async def play(number: int) -> int:
        if number == 0:
            raise ValueError("refused")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    async def run_tasks() -> None:
        async with OrderedTaskRunner(play, 0, drain=asyncio.Event().wait) as line:
            await line.next(3)

    async def work() -> None:
        running = asyncio.create_task(run_tasks())
        await asyncio.sleep(ANSWERS_S / 2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert cancelled == [1, 2]

    run_virtually(work())


def test_an_exception_in_the_block_waits_for_answers_and_cancelling_it_does_not() -> None:
    drained: list[str] = []

    async def play(number: int) -> int:
        await asyncio.sleep(100 * number)
        return number

    async def end_with(error: BaseException) -> None:
        async def drain() -> None:
            drained.append(type(error).__name__)

        async with OrderedTaskRunner(play, 0, drain) as line:
            await line.next(3)
            raise error

    for error in (ValueError("too many failures"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            run_virtually(end_with(error))
    assert drained == ["ValueError"]
