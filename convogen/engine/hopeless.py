"""Early stopping of runs whose configuration cannot work, with a suggested remedy.

Only a few tasks are in flight until a task has succeeded. The run stops if all of the first tasks
fail. It also stops if many consecutive tasks fail later, because an endpoint may change during a
run. The models' last replies show which key to change.
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
"""Number of failures of one kind, before any success, after which the run stops."""

ANYHOW = 30
"""Number of failures of any kind, before any success, after which the run stops."""

IN_A_ROW = 50
"""Number of consecutive failures of one kind, after a success, after which the run stops."""

SHOWN = 200
THINKING_TOKENS = 4000
"""Minimum `max_tokens` to suggest for a reasoning model."""

SetKey = Callable[[str, str, object], str]
"""A function that, given a role, a sampling parameter and a value, returns the option that sets the
parameter for the role."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way in which a task failed: the stage, the kind of error, and the error's text."""

    stage: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Failed:
    """The way in which a task failed, and the last reply or fault that the task received."""

    way: Way
    last: dict[str, Any] | None

    @property
    def of(self) -> tuple[str, str]:
        return self.way.stage, self.way.kind


class FirstTasks:
    """The failures in one invocation that count towards stopping the run.

    Until the first success, all failures count. Afterwards, a failure counts only if no task
    has succeeded since.

    Args:
        under_way: Maximum number of tasks in flight until a task succeeds, reduced by 1 per
            failure.
        of: Plural noun that messages use for the tasks, for example `tasks` or `scores`.
        set_key: Function that returns the option that changes a role's sampling.
        afterwards: Advice on how to resume, which ends the error message.
        unanswered: Number of failures that stop the run if the endpoint answered other calls but
            not the failed tasks' calls.
        anyhow: Number of failures that stop the run if the failures are of several kinds.
        unheard: Roles that were called but have never replied. Tasks may still succeed, because
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
        """Whether all tasks may fail. If so, the run is never stopped."""

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
        """The maximum number of tasks in flight; None if the number is not limited."""
        if self.all_may_fail:
            return None
        if self.hopeful:
            wide = len(self._failed) < FIRST and not self._unheard
            return None if wide else self._under_way
        return max(1, self._under_way - len(self._failed))

    def succeeded(self) -> None:
        """Register a success and discard the failures before it."""
        self.hopeful = True
        self._failed.clear()
        self._attempts = 0

    def failed(self, way: Way, journal: Journal) -> None:
        """Register a failure; raise `Hopeless` if enough tasks have failed since the last
        success."""
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
            several = f", {n} of them" if n < len(self._failed) else ""
            raise Hopeless(self._explain(f"{which} all failed{several} in the same way", alike))
        if last is not None and last["role"] in self._unheard:
            mute = self._mute[last["role"]]
            mute.append(failed)
            if len(mute) == FIRST:
                which = (
                    f"{FIRST} {self._of} failed in calls to the {last['role']}, "
                    f"which has never replied"
                )
                raise Hopeless(self._explain(which, mute))

    def _is_enough(self, in_one_way: int, kind: str) -> bool:
        failed = len(self._failed)
        if self.hopeful:
            return in_one_way == failed >= IN_A_ROW
        if in_one_way >= (self._unanswered if kind == "endpoint_fault" else FIRST):
            return True
        # Attempts count because a call that the endpoint does not answer is retried many times.
        return failed >= self._anyhow or (
            in_one_way < failed >= self._unanswered and self._attempts >= 3 * self._anyhow
        )

    def _explain(self, what: str, alike: Sequence[_Failed]) -> str:
        stage, kind = alike[-1].of
        text = " ".join(alike[-1].way.text.split())[:SHOWN].removesuffix(".")
        reason = text if text.startswith(kind) else f"{kind}: {text}"
        last = [each.last for each in alike if each.last is not None]
        return f"{what} (stage: {stage}): {reason}; {cure(last, self._set_key)}; {self._afterwards}"


def cure(last: Sequence[dict[str, Any]], set_key: SetKey) -> str:
    """Return advice derived from the last answer that each failed task received
    (`Journal.answers`)."""
    roles = {answer["role"] for answer in last}
    if len(roles) != 1:
        return "run `convogen doctor` to test the model"
    [role] = roles
    if all("fault" in answer for answer in last):
        return _cure_fault(last[-1]["fault"])
    texts = [f"{answer.get('text', '')}".strip() for answer in last]
    ended = {f"{answer.get('finish_reason', '')}" for answer in last}
    if all(is_blank_loop(f"{answer.get('text', '')}") for answer in last):
        return f"more tokens for the {role} would not help; try --set models.default.json_mode=text"
    if len(ended) == 1 and not ended & {"stop", "length", ""}:
        return (
            f"every reply from the {role} ended with the finish reason {ended.pop()!r}, so no "
            f"reply counts as complete; choose another model, or run `convogen doctor`"
        )
    if ended == {"length"}:
        return _cure_length(role, last, set_key, silent=not any(texts))
    if not any(texts):
        return (
            f"every reply from the {role} is empty; choose another model, or run `convogen doctor`"
        )
    return (
        f"the {role} writes replies such as {' '.join(texts[-1].split())[:SHOWN]!r}; choose "
        f"another model"
    )


def _cure_length(
    role: str, last: Sequence[dict[str, Any]], set_key: SetKey, *, silent: bool
) -> str:
    had = max(answer["usage"]["completion_tokens"] for answer in last)
    room = set_key(role, "max_tokens", max(THINKING_TOKENS, 4 * had))
    thinks = silent and (had > 1 or any(answer.get("thought") for answer in last))
    what = ", probably while the model was still thinking" if thinks else ""
    limit = f"max_tokens={had}" if had else "the maximum number of tokens"
    return f"every reply was truncated at {limit}{what}; try {room}"


def _cure_fault(fault: dict[str, Any]) -> str:
    message = f"{fault.get('message', '')}"
    if "no response within" in message:
        return "allow more time with --set models.default.timeout_s=600"
    if fault.get("kind") == "context_length":
        return "serve the model with a longer context, or choose another model"
    return "correct the cause of the error, or choose another model; see `convogen doctor`"
