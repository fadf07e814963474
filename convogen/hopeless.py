"""Configurations that cannot work are stopped early: before they have cost much, and with a cure.

Until one task has succeeded few are under way; where the first of them all fail in one way, the
start ends. What the models answered last tells which key to change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convogen.errors import Hopeless
from convogen.models.journal import Journal

__all__ = ["FirstTasks", "SetKey", "Way", "cure"]

FIRST = 10
"""Tasks that fail in one way, none having succeeded, after which it is no chance."""

SHOWN = 200
THINKING_TOKENS = 4000
"""Room that a model which thinks before it speaks should have, at least."""

SetKey = Callable[[str, str, object], str]
"""How a role's sampling is changed: (role, parameter, value) -> what to add to the command."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a task failed: where, of what kind, and in which words."""

    stage: str
    kind: str
    text: str


class FirstTasks:
    """What the tasks of one start came to, until the first succeeds.

    Args:
        under_way: Tasks under way at most until then, one less for each that failed.
        of: What they are called: tasks, scores.
        set_key: How a role's sampling is changed.
        afterwards: How to go on.
        unanswered: How many suffice where the endpoint answered others, and nothing to them.
    """

    def __init__(
        self, under_way: int, of: str, set_key: SetKey, afterwards: str, unanswered: int = FIRST
    ) -> None:
        self.hopeful = False
        """Whether a task came to something, or all may fail."""

        self._under_way = under_way
        self._of = of
        self._set_key = set_key
        self._afterwards = afterwards
        self._unanswered = unanswered
        self._failed: list[Way] = []
        self._last: list[dict[str, Any]] = []

    @property
    def most(self) -> int | None:
        """How many may be under way; None: as many as one likes."""
        return None if self.hopeful else max(1, self._under_way - len(self._failed))

    def failed(self, way: Way, journal: Journal) -> None:
        """A task failed; raises `Hopeless` where all have failed in one way, and enough of them."""
        if self.hopeful:
            return
        self._failed.append(way)
        self._last += list(journal.answers())[-1:]
        needed = self._unanswered if way.kind == "endpoint_fault" else FIRST
        if len(self._failed) < needed or len({(w.stage, w.kind) for w in self._failed}) > 1:
            return
        text = " ".join(way.text.split())[:SHOWN].removesuffix(".")
        told = text if text.startswith(way.kind) else f"{way.kind}: {text}"
        raise Hopeless(
            f"the first {len(self._failed)} {self._of} all failed in one way, {way.stage}: {told}; "
            f"{cure(self._last, self._set_key)}; {self._afterwards}"
        )


def cure(last: Sequence[dict[str, Any]], set_key: SetKey) -> str:
    """What to change, from the last answer to each of the tasks that failed (`Journal.answers`)."""
    roles = {answer["role"] for answer in last}
    if len(roles) != 1:
        return "`convogen doctor` tells what the model can do"
    [role] = roles
    if all("fault" in answer for answer in last):
        return _cure_fault(last[-1]["fault"])
    said = [f"{answer.get('text', '')}".strip() for answer in last]
    if all(answer.get("finish_reason") == "length" for answer in last):
        return _cure_length(role, last, set_key, silent=not any(said))
    if not any(said):
        return f"every reply of the {role} is empty: name another model, or see `convogen doctor`"
    return f"the {role} says such as {' '.join(said[-1].split())[:SHOWN]!r}: name another model"


def _cure_length(
    role: str, last: Sequence[dict[str, Any]], set_key: SetKey, *, silent: bool
) -> str:
    had = max(answer["usage"]["completion_tokens"] for answer in last)
    room = set_key(role, "max_tokens", max(THINKING_TOKENS, 4 * had))
    thinks = silent and (had > 1 or any(answer.get("thought") for answer in last))
    what = "with nothing said; the model thinks" if thinks else "before its end"
    limit = f"max_tokens={had}" if had else "the most tokens it may have"
    return f"every reply ended at {limit} {what}: {room}"


def _cure_fault(fault: dict[str, Any]) -> str:
    said = f"{fault.get('message', '')}"
    if "no answer within" in said:
        return "give it more time: --set models.default.timeout_s=600"
    if fault.get("kind") == "context_length":
        return "serve the model with a longer context, or name another"
    return "change what it complains of, or name another model; `convogen doctor` tells more"
