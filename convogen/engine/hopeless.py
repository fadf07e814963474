"""Early stop of configurations that cannot work, with a suggested remedy.

Few tasks are in flight until one has succeeded. The run stops if all of the first tasks fail, or
later if many fail in a row, since an endpoint may change in the middle of a run. The models' last
answers show which key to change.
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
"""Failures of one kind, before any success, after which the run stops."""

ANYHOW = 30
"""The same for failures of several kinds."""

IN_A_ROW = 50
"""Consecutive failures of one kind, after a first success, after which the run stops."""

SHOWN = 200
THINKING_TOKENS = 4000
"""The least `max_tokens` to suggest for a reasoning model."""

SetKey = Callable[[str, str, object], str]
"""Turns (role, parameter, value) into the option that changes a role's sampling."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a task failed: the stage, the kind of error, and its text."""

    stage: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Failed:
    """How a task failed, and the last answer it received."""

    way: Way
    last: dict[str, Any] | None

    @property
    def of(self) -> tuple[str, str]:
        return self.way.stage, self.way.kind


class FirstTasks:
    """Tracks failures within one start: all of them until the first success, then consecutive ones.

    Args:
        under_way: Upper bound of tasks in flight until one succeeds, minus one per failure.
        of: Noun for the tasks in messages: tasks, scores.
        set_key: Returns the option that changes a role's sampling.
        afterwards: How to resume, for the message.
        unanswered: Failures needed if the endpoint answered other calls but none of theirs.
        anyhow: Failures needed if they are of several kinds.
        unheard: The roles that were called but have never answered; tasks may still succeed, since
        not every task calls every role.
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
        """Whether a task has succeeded."""

        self.all_may_fail = False
        """Whether the user allows all tasks to fail; the run is then never stopped."""

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
        """How many tasks may be in flight; None if unbounded."""
        if self.all_may_fail:
            return None
        if self.hopeful:
            wide = len(self._failed) < FIRST and not self._unheard
            return None if wide else self._under_way
        return max(1, self._under_way - len(self._failed))

    def succeeded(self) -> None:
        """Register a success and forget the failures before it."""
        self.hopeful = True
        self._failed.clear()
        self._attempts = 0

    def failed(self, way: Way, journal: Journal) -> None:
        """Register a failure; raise `Hopeless` if enough tasks have failed without a success
        since."""
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
            raise Hopeless(self._explain(f"{which} all failed {several}", alike))
        if last is not None and last["role"] in self._unheard:
            mute = self._mute[last["role"]]
            mute.append(failed)
            if len(mute) == FIRST:
                which = (
                    f"{FIRST} {self._of} failed for the {last['role']}, which has answered none,"
                )
                raise Hopeless(self._explain(which, mute))

    def _is_enough(self, in_one_way: int, kind: str) -> bool:
        failed = len(self._failed)
        if self.hopeful:
            return in_one_way == failed >= IN_A_ROW
        if in_one_way >= (self._unanswered if kind == "endpoint_fault" else FIRST):
            return True
        # Calls that an endpoint fails to answer are retried many times, so their attempts count.
        return failed >= self._anyhow or (
            in_one_way < failed >= self._unanswered and self._attempts >= 3 * self._anyhow
        )

    def _explain(self, what: str, alike: Sequence[_Failed]) -> str:
        stage, kind = alike[-1].of
        text = " ".join(alike[-1].way.text.split())[:SHOWN].removesuffix(".")
        reason = text if text.startswith(kind) else f"{kind}: {text}"
        last = [each.last for each in alike if each.last is not None]
        return f"{what} {stage}: {reason}; {cure(last, self._set_key)}; {self._afterwards}"


def cure(last: Sequence[dict[str, Any]], set_key: SetKey) -> str:
    """Return what to change, derived from the last answer to each failed task
    (`Journal.answers`)."""
    roles = {answer["role"] for answer in last}
    if len(roles) != 1:
        return "`convogen doctor` shows what the model can do"
    [role] = roles
    if all("fault" in answer for answer in last):
        return _cure_fault(last[-1]["fault"])
    texts = [f"{answer.get('text', '')}".strip() for answer in last]
    ended = {f"{answer.get('finish_reason', '')}" for answer in last}
    if all(is_blank_loop(f"{answer.get('text', '')}") for answer in last):
        return f"more room for the {role} would not help: --set models.default.json_mode=text"
    if len(ended) == 1 and not ended & {"stop", "length", ""}:
        return (
            f"every reply of the {role} ended with the finish reason {ended.pop()!r}, which no "
            f"complete reply has: name another model, or see `convogen doctor`"
        )
    if ended == {"length"}:
        return _cure_length(role, last, set_key, silent=not any(texts))
    if not any(texts):
        return f"every reply of the {role} is empty: name another model, or see `convogen doctor`"
    return (
        f"the {role} says things like {' '.join(texts[-1].split())[:SHOWN]!r}: name another model"
    )


def _cure_length(
    role: str, last: Sequence[dict[str, Any]], set_key: SetKey, *, silent: bool
) -> str:
    had = max(answer["usage"]["completion_tokens"] for answer in last)
    room = set_key(role, "max_tokens", max(THINKING_TOKENS, 4 * had))
    thinks = silent and (had > 1 or any(answer.get("thought") for answer in last))
    what = "before anything was said; the model thinks" if thinks else "before its end"
    limit = f"max_tokens={had}" if had else "the maximum number of tokens"
    return f"every reply ended at {limit} {what}: {room}"


def _cure_fault(fault: dict[str, Any]) -> str:
    message = f"{fault.get('message', '')}"
    if "no answer within" in message:
        return "give it more time: --set models.default.timeout_s=600"
    if fault.get("kind") == "context_length":
        return "serve the model with a longer context, or name another"
    return "change what it complains about, or name another model; see `convogen doctor`"
