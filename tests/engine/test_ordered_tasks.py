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
        line = OrderedTaskRunner(play, 0)
        try:
            with pytest.raises(ValueError, match="refused"):
                await line.next(2)
        finally:
            await line.stop()

    run_virtually(work())
    assert answered == kept
