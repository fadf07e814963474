"""The order of requests to a server that answers one request at a time."""

from __future__ import annotations

import asyncio
import threading

from convogen.models.backends.prompt_cache import Turns


def test_turns_go_round_in_order_past_those_that_gave_up() -> None:
    async def pass_round() -> list[str]:
        turns, taken = Turns(), list[str]()

        async def take(name: str) -> None:
            async with turns:
                await asyncio.sleep(0)
                taken.append(name)

        tasks = [asyncio.create_task(take(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(8):  # a task gets the turn and is cancelled before it notices
            tasks = [asyncio.create_task(take(name)) for name in "ef"]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(60):
            await take("g")
        return taken

    taken = asyncio.run(pass_round())
    assert taken[:3] == ["a", "c", "d"]
    assert taken[-1] == "g"


def test_turns_are_shared_by_event_loops() -> None:
    turns, inside, most = Turns(), list[int](), list[int]()

    async def take() -> None:
        async with turns:
            inside.append(1)
            await asyncio.sleep(0)
            most.append(len(inside))
            inside.pop()

    async def several() -> None:
        await asyncio.gather(*(take() for _ in range(50)))

    threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 150
