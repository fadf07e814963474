"""Configurations that cannot work are stopped early: before they have cost much, and with a cure.

Few tasks are under way until one has succeeded, and while one after the other fails. The start ends
where the first of them fail, or later many in a row: an endpoint may well change in the middle of a
run. What the models answered last tells which key to change.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from convogen.errors import Hopeless
from convogen.models.traffic.journal import Journal
from convogen.text.objects import is_blank_loop

__all__ = ["FIRST", "FirstTasks", "SetKey", "Way", "cure"]

FIRST = 10
"""Tasks that fail in one way, none having succeeded, after which it is no chance."""

ANYHOW = 30
"""The same for tasks that fail in several ways."""

IN_A_ROW = 50
"""Tasks in a row that fail in one way, after one has succeeded, from which it is no chance."""

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


@dataclass(frozen=True, slots=True)
class _Failed:
    """How a task failed, and what it was answered last."""

    way: Way
    last: dict[str, Any] | None

    @property
    def of(self) -> tuple[str, str]:
        return self.way.stage, self.way.kind


class FirstTasks:
    """What the tasks of one start came to: all until the first that succeeds, then those in a row.

    Args:
        under_way: Tasks under way at most until one succeeds, one less for each that failed.
        of: What they are called: tasks, scores.
        set_key: How a role's sampling is changed.
        afterwards: How to go on.
        unanswered: How many suffice if the endpoint answered others, and nothing to them.
        anyhow: How many suffice if they fail in several ways.
        unheard: The roles that were asked and have not said a word yet: not every task asks each,
            so that tasks may succeed beside it.
    """

    def __init__(
        self,
        under_way: int,
        of: str,
        *,
        set_key: SetKey,
        afterwards: str,
        unanswered: int = FIRST,
        anyhow: int = ANYHOW,
        unheard: Collection[str] = (),
    ) -> None:
        self.hopeful = False
        """Whether a task came to something."""

        self.all_may_fail = False
        """Whether the user says so: then nothing is stopped."""

        self._under_way = under_way
        self._of = of
        self._set_key = set_key
        self._afterwards = afterwards
        self._unanswered = unanswered
        self._anyhow = anyhow
        self._unheard = unheard
        self._failed = deque[_Failed](maxlen=IN_A_ROW)
        self._mute = defaultdict[str, list[_Failed]](list)
        self._attempts = 0

    @property
    def most(self) -> int | None:
        """How many may be under way; None: as many as one likes."""
        if self.all_may_fail:
            return None
        if self.hopeful:
            wide = len(self._failed) < FIRST and not self._unheard
            return None if wide else self._under_way
        return max(1, self._under_way - len(self._failed))

    def succeeded(self) -> None:
        """A task came to something: what failed before it says no more."""
        self.hopeful = True
        self._failed.clear()
        self._attempts = 0

    def failed(self, way: Way, journal: Journal) -> None:
        """A task failed; raises `Hopeless` if enough of them have, and none succeeded since."""
        if self.all_may_fail:
            return
        answers = list(journal.answers())
        last = answers[-1] if answers else None
        failed = _Failed(way, last)
        self._failed.append(failed)
        for call in journal.calls():
            self._attempts += call.get("attempts", 1) + call.get("lost_attempts", 0)
        ways = Counter(each.of for each in self._failed)
        [(commonest, n)] = ways.most_common(1)
        if self._is_enough(n, commonest[1]):
            alike = [each for each in self._failed if each.of == commonest]
            which = f"the {'last' if self.hopeful else 'first'} {len(self._failed)} {self._of}"
            several = f"in several ways, {n} in" if n < len(self._failed) else "in one way,"
            raise Hopeless(self._told(f"{which} all failed {several}", alike))
        if last is not None and last["role"] in self._unheard:
            mute = self._mute[last["role"]]
            mute.append(failed)
            if len(mute) == FIRST:
                which = (
                    f"{FIRST} {self._of} failed for the {last['role']}, which has answered none,"
                )
                raise Hopeless(self._told(which, mute))

    def _is_enough(self, in_one_way: int, kind: str) -> bool:
        failed = len(self._failed)
        if self.hopeful:
            return in_one_way == failed >= IN_A_ROW
        if in_one_way >= (self._unanswered if kind == "endpoint_fault" else FIRST):
            return True
        # Calls that the endpoint fails at are tried often, so that it is their number that counts.
        return failed >= self._anyhow or (
            in_one_way < failed >= self._unanswered and self._attempts >= 3 * self._anyhow
        )

    def _told(self, what: str, alike: Sequence[_Failed]) -> str:
        stage, kind = alike[-1].of
        text = " ".join(alike[-1].way.text.split())[:SHOWN].removesuffix(".")
        told = text if text.startswith(kind) else f"{kind}: {text}"
        last = [each.last for each in alike if each.last is not None]
        return f"{what} {stage}: {told}; {cure(last, self._set_key)}; {self._afterwards}"


def cure(last: Sequence[dict[str, Any]], set_key: SetKey) -> str:
    """Return what to change, from the last answer to each of the tasks that failed
    (`Journal.answers`)."""
    roles = {answer["role"] for answer in last}
    if len(roles) != 1:
        return "`convogen doctor` tells what the model can do"
    [role] = roles
    if all("fault" in answer for answer in last):
        return _cure_fault(last[-1]["fault"])
    said = [f"{answer.get('text', '')}".strip() for answer in last]
    ended = {f"{answer.get('finish_reason', '')}" for answer in last}
    if all(is_blank_loop(f"{answer.get('text', '')}") for answer in last):
        return f"more room for the {role} would not help: --set models.default.json_mode=text"
    if len(ended) == 1 and not ended & {"stop", "length", ""}:
        return (
            f"every reply of the {role} ended with the finish reason {ended.pop()!r}, which is no "
            "whole reply's: name another model, or see `convogen doctor`"
        )
    if ended == {"length"}:
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
