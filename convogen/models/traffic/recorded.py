"""Journals that answer a task's calls from recorded calls with the same request hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convogen.errors import RunStopped
from convogen.models.base import ModelReply, Request
from convogen.models.traffic.journal import Journal, reply_of

__all__ = ["NoModel", "NotRecorded", "RecordedJournal"]


class NotRecorded(RunStopped):
    """A call is not in the record. `nth` is the call's number in the task, counted from 1."""

    def __init__(self, nth: int, recorded: str | None) -> None:
        wanted = "no further call" if recorded is None else f"a call to the {recorded}"
        super().__init__(f"call {nth} differs from the record, which has {wanted} at this point")
        self.nth = nth


class NoModel:
    """A placeholder for the model in a replay, which calls no model."""

    async def complete(self, request: Request) -> ModelReply:
        """Raise an error. Replays never call this method, because the journal raises
        `NotRecorded`."""
        raise AssertionError("a replay must not call a model")

    async def close(self) -> None:
        """Do nothing, because there is nothing to close."""


class RecordedJournal(Journal):
    """A journal that answers from a task's recorded calls until it is switched to `live`.

    A live journal records new calls like an ordinary journal. `answers` returns both recorded and
    new answers.
    """

    def __init__(self, path: Path, calls: Sequence[dict[str, Any]]) -> None:
        super().__init__(path)
        self.live = False
        self._order = [call["role"] for call in calls]
        self._recorded = {call["key"]: _own(call) for call in calls}
        self._taken: dict[str, dict[str, Any]] = {}

    def find(self, key: str) -> ModelReply | None:
        """Return the recorded reply; raise `NotRecorded` if no reply is recorded and the journal is
        not live."""
        if self.live:
            return super().find(key)
        nth = len(self.asked)
        if key not in self._recorded:
            raise NotRecorded(nth + 1, self._order[nth] if nth < len(self._order) else None)
        self.asked.append(key)
        self._taken[key] = self._recorded[key]
        return reply_of(self._taken[key])

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return the answer to a call, recorded or live."""
        return self._taken.get(key) or super().answer(key)


def _own(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "task"}
