"""Truncation of a dialogue's requests to the model's context window, whose size may be unknown.

A request that an endpoint refuses as too long is sent again, first with a lower cap on the reply,
if the prompt leaves enough room, and then without the oldest exchanges. The turn records these
changes. The inferred window size is used only within the dialogue, because the data must not depend
on which task was refused first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeGuard

from convogen.errors import ModelFault
from convogen.models.base import Message, Sampling
from convogen.models.overflow import read_overflow
from convogen.models.traffic.session import Session, SessionReply

__all__ = ["LEAST_REPLY", "ContextWindow", "Fitted", "ask_whole"]

LEAST_REPLY = 512
"""Minimum number of tokens for a reply. If fewer remain, the oldest exchanges are dropped."""

SHORTEST_REPLY = 16
"""Minimum number of tokens for a reply once no further exchanges can be dropped."""

_MARGIN = 1.05
"""Safety factor by which the estimated length of a prompt is multiplied."""

_TOKENS_PER_CHAR = 0.33
"""Estimated number of tokens per character until a model has reported a token count."""

_CAPS = ("max_tokens", "max_completion_tokens")

Chat = Callable[[int], Sequence[Message]]
"""A function that returns a request's messages without the given number of oldest exchanges.

The caller defines what an exchange is, for example a prompt and its response, or one turn in a
group chat.
"""


class Fitted(NamedTuple):
    """A reply, and the changes that made its request fit into the context window.

    `capped_at` is the lowered cap on the reply in tokens; None if the cap was not lowered.
    `left_out` is the number of dropped exchanges; None if none were dropped.
    """

    answer: SessionReply
    capped_at: int | None = None
    left_out: int | None = None


class _Plan(NamedTuple):
    """The number of exchanges to drop, and the cap on the reply in tokens (None for no cap)."""

    left_out: int
    cap: int | None


class ContextWindow:
    """The model calls in one dialogue, with each request truncated to its model's context
    window."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._models: dict[str, _Model] = {}

    async def ask(
        self,
        role: str,
        chat: Chat,
        exchanges: int,
        sampling: Sampling | None = None,
        **options: Any,
    ) -> Fitted:
        """Return a role's reply to a chat.

        Args:
            role: Name of the role.
            chat: Function that returns the messages without the given number of oldest exchanges.
            exchanges: Maximum number of exchanges that may be dropped.
            sampling: Settings that take precedence over the role's settings.
            options: Further arguments for `Session.ask`.

        Raises:
            ModelFault: If not even the last exchange fits into the context window, or if
                `Session.ask` raises it. An HTTP chatbot, which keeps its own memory, is called only
                once.
        """
        (answer,) = await self.ask_several(1, role, chat, exchanges, sampling, **options)
        if isinstance(answer, ModelFault):
            raise answer
        return answer

    async def ask_several(
        self,
        n: int,
        role: str,
        chat: Chat,
        exchanges: int,
        sampling: Sampling | None = None,
        **options: Any,
    ) -> list[Fitted | ModelFault]:
        """Send `n` concurrent requests for a chat, and return a reply or a fault for each.

        The other arguments are those of `ask`. The requests are equal and therefore equally long,
        so they are truncated only if all of them are refused as too long.
        """
        held = self._session.traffic.role(role)
        own = sampling.with_defaults(held.sampling) if sampling else held.sampling
        model = self._models.setdefault(role, _Model())
        request = _Request(model, chat, exchanges, _cap(own))
        plan, before = request.first(), None
        while True:
            messages = chat(plan.left_out)
            lowered = plan.cap != request.wanted
            settings = _capped(own, plan.cap) if lowered else sampling
            answers = await self._ask_at_once(n, role, messages, sampling=settings, **options)
            refusals = [one for one in answers if _is_too_long(one)]
            if len(refusals) < n or held.spec.kind == "http":
                break
            fault = refusals[0]
            model.refused(messages, fault.evidence or str(fault))
            smaller = request.smaller(plan, again=plan.left_out == before)
            if smaller is None:
                break
            plan, before = smaller, plan.left_out
        fitted: list[Fitted | ModelFault] = []
        for answer in answers:
            if isinstance(answer, ModelFault):
                fitted.append(answer)
                continue
            model.took(messages, answer.usage.prompt_tokens)
            model.last = plan
            fitted.append(Fitted(answer, plan.cap if lowered else None, plan.left_out or None))
        return fitted

    async def _ask_at_once(
        self, n: int, role: str, messages: Sequence[Message], **options: Any
    ) -> list[SessionReply | ModelFault]:
        asks = (self._session.ask(role, messages, **options) for _ in range(n))
        answers: list[SessionReply | ModelFault] = []
        for one in await asyncio.gather(*asks, return_exceptions=True):
            if isinstance(one, BaseException) and not isinstance(one, ModelFault):
                raise one
            answers.append(one)
        return answers


async def ask_whole(
    session: Session,
    role: str,
    messages: Sequence[Message],
    sampling: Sampling | None = None,
    **options: Any,
) -> SessionReply:
    """Return a role's reply to messages that must not be truncated.

    Only the cap on the reply is adapted to the model's context window. The exceptions are the same
    as for `ContextWindow.ask`.
    """
    fitted = await ContextWindow(session).ask(role, lambda _: messages, 0, sampling, **options)
    return fitted.answer


def _is_too_long(answer: SessionReply | ModelFault) -> TypeGuard[ModelFault]:
    return isinstance(answer, ModelFault) and answer.kind == "context_length"


class _Model:
    """The facts about a role's model that are inferred from its earlier responses.

    `window` is the size of the context window in tokens; it is None until a refusal states it.
    `last` is the latest plan that succeeded.
    """

    def __init__(self) -> None:
        self.window: int | None = None
        self.last: _Plan | None = None
        self._tokens_per_char = _TOKENS_PER_CHAR

    def refused(self, messages: Sequence[Message], detail: str) -> None:
        overflow = read_overflow(detail)
        self.window = overflow.window or self.window
        self.took(messages, overflow.prompt or 0)

    def took(self, messages: Sequence[Message], tokens: int) -> None:
        if tokens:
            self._tokens_per_char = tokens / max(_chars(messages), 1)

    def room(self, messages: Sequence[Message]) -> int:
        """Return the number of tokens that a prompt leaves for the reply."""
        assert self.window is not None
        return self.window - int(_MARGIN * self._tokens_per_char * _chars(messages)) - 1


class _Request:
    """A request that may be truncated. `wanted` is the desired cap on its reply in tokens."""

    def __init__(self, model: _Model, chat: Chat, exchanges: int, wanted: int | None) -> None:
        self.wanted = wanted
        self._model, self._chat, self._exchanges = model, chat, exchanges
        self._least = min(LEAST_REPLY, wanted or LEAST_REPLY)

    def first(self) -> _Plan:
        """Return the first plan. Nothing is truncated before a request has been refused."""
        if self._model.window is not None:
            return self._within(range(self._exchanges + 1), self.wanted) or _Plan(
                self._exchanges, self.wanted
            )
        left_out, cap = self._model.last or _Plan(0, None)
        caps = [one for one in (cap, self.wanted) if one is not None]
        return _Plan(min(left_out, self._exchanges), min(caps, default=None))

    def smaller(self, plan: _Plan, *, again: bool) -> _Plan | None:
        """Return a smaller plan than the refused plan; None if no smaller plan exists.

        `again` means that two plans with the same number of exchanges were refused. In this case,
        the reported prompt length is not trusted, and the cap on the reply is halved.
        """
        left_out, cap = plan
        if self._model.window is None:
            return self._halved(plan)
        bound = None if cap is None else cap // 2 if again else cap - 1
        if bound is not None and (found := self._within(range(left_out, left_out + 1), bound)):
            return found
        if left_out < self._exchanges:
            return self._within(range(left_out + 1, self._exchanges + 1), self.wanted)
        return None

    def _halved(self, plan: _Plan) -> _Plan | None:
        """Return a smaller plan for a model whose context window is unknown; None if no smaller
        plan exists."""
        left_out, cap = plan
        last = left_out == self._exchanges
        least = SHORTEST_REPLY if last else self._least
        if cap is not None and cap > least:
            return _Plan(left_out, max(cap // 2, least))
        return None if last else _Plan(left_out + 1, cap)

    def _within(self, left_out: range, cap: int | None) -> _Plan | None:
        """Return the plan that drops the fewest exchanges and leaves room for a reply; None if no
        plan leaves room."""
        for number in left_out:
            room = self._model.room(self._chat(number))
            least = SHORTEST_REPLY if number == self._exchanges else self._least
            if room >= least and (cap is None or cap >= min(least, self.wanted or least)):
                return _Plan(number, None if cap is None else min(cap, room))
        return None


def _chars(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _cap(sampling: Sampling) -> int | None:
    """Return the cap on a reply in tokens; keys in `extra` override the other settings."""
    extra = sampling.extra or {}
    caps = [extra[key] for key in _CAPS if isinstance(extra.get(key), int)]
    return min(caps, default=sampling.max_tokens)


def _capped(sampling: Sampling, cap: int | None) -> Sampling:
    """Return the settings with a new cap under every key that sets a cap."""
    extra = {key: cap if key in _CAPS else value for key, value in (sampling.extra or {}).items()}
    return sampling.model_copy(update={"max_tokens": cap, **({"extra": extra} if extra else {})})
