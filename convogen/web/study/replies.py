"""Replies in progress, which continue whether or not a browser is waiting."""

from __future__ import annotations

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from convogen.errors import ModelFault
from convogen.study.chatbot import Chatbot
from convogen.study.store import Store
from convogen.study.tables import Said

__all__ = ["Replies"]

LOG = logging.getLogger(__name__)

_PATIENCE_S = 1.5
"""Seconds for which a response waits for the chatbot's reply, so that a quick reply is included."""

_MOST_REASON = 500
"""Maximum length, in characters, of a reason that is logged."""

_LAST_WORDS_S = 30
"""Maximum number of seconds for which a stopping server waits for replies in progress."""


class Replies:
    """Requests missing replies from the chatbot, once per message."""

    def __init__(self, chatbot: Chatbot, store: Store, goals: int) -> None:
        self.chatbot = chatbot
        self.trouble = ""
        """The chatbot's last error, shown to the researcher; empty after a successful reply."""

        self._store = store
        self._goals = goals
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def chat(self, participant: str, place: int, goal: int) -> tuple[list[Said], bool]:
        """Return the messages of a dialogue, and whether a reply is being written.

        If the last message has no reply, a reply is requested, unless the last attempt failed.
        """
        task = place * self._goals + goal
        said = await run_in_threadpool(self._store.chat, participant, goal)
        if len(said) % 2 and said[-1].fault is None and task not in self._under_way:
            writing = asyncio.create_task(self._write(participant, place, goal, said))
            self._under_way[task] = writing
            writing.add_done_callback(lambda _: self._under_way.pop(task, None))
        return said, task in self._under_way

    async def wait(self, place: int, goal: int) -> None:
        """Wait briefly for the reply in a dialogue."""
        if (writing := self._under_way.get(place * self._goals + goal)) is not None:
            await asyncio.wait([writing], timeout=_PATIENCE_S)

    async def _write(self, participant: str, place: int, goal: int, said: list[Said]) -> None:
        """Get a reply, and record the reply or the kind of error."""
        task = place * self._goals + goal
        fault = ""
        try:
            turn = await self.chatbot.reply(task, [one.turn for one in said])
        except Exception as error:  # noqa: BLE001 - an unrecorded fault would be retried forever
            fault = _kind(error)
            self.trouble = f"{fault}: {error}" if f"{error}" else fault
            reason = " ".join(self.trouble.split())[:_MOST_REASON]
            LOG.warning("the chatbot gave no reply: %s", reason, extra={"task": task})
            await run_in_threadpool(self._store.set_fault, participant, goal, len(said) - 1, fault)
        else:
            self.trouble = ""
            await run_in_threadpool(self._store.say, participant, goal, len(said), turn)
        if await run_in_threadpool(self._has_withdrawn, participant):
            self.chatbot.forget(place)  # another process deleted the participant meanwhile

    def _has_withdrawn(self, participant: str) -> bool:
        return self._store.participant(participant).withdrawn

    async def forget(self, place: int) -> None:
        """Cancel a participant's replies in progress, and delete the participant's journals."""
        tasks = range(place * self._goals, (place + 1) * self._goals)
        await self._stop([self._under_way[task] for task in tasks if task in self._under_way])
        await run_in_threadpool(self.chatbot.forget, place)

    async def close(self) -> None:
        """Wait for replies in progress, since they are paid for anyway, and close the chatbot."""
        if writing := list(self._under_way.values()):
            await asyncio.wait(writing, timeout=_LAST_WORDS_S)
        await self._stop(list(self._under_way.values()))
        await self.chatbot.close()

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _kind(error: Exception) -> str:
    """Return the kind of an error, which determines the text on the page."""
    if isinstance(error, ModelFault):
        return error.kind
    return "slow" if isinstance(error, TimeoutError) else "unavailable"
