"""Fit the requests of a dialogue into a model's context window, whatever its size.

A request that an endpoint refuses as too long is sent again: first with a lower cap on the reply,
as long as the prompt leaves room for one, then without the oldest exchanges. What was cut is
recorded on the turn. What is learned about a window stays within the dialogue: the data must not
depend on which of many tasks was refused first.
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
"""If a prompt leaves fewer tokens than this for the reply, the oldest exchanges are left out."""

SHORTEST_REPLY = 16
"""The same once only the last exchange remains, when nothing more can be left out."""

_MARGIN = 1.05
"""Safety factor on the estimated length of a prompt."""

_TOKENS_PER_CHAR = 0.33
"""The estimate until a model has reported a token count."""

_CAPS = ("max_tokens", "max_completion_tokens")

Chat = Callable[[int], Sequence[Message]]
"""Returns the messages of a request without the given number of oldest exchanges.

What an exchange is depends on the caller: a prompt and its response, or one turn of a group chat.
"""


class Fitted(NamedTuple):
    """An answer, and what was cut to make its request fit; None if nothing was.

    `capped_at` is the lowered cap on the reply, in tokens; `left_out` counts exchanges.
    """

    answer: SessionReply
    capped_at: int | None = None
    left_out: int | None = None


class _Plan(NamedTuple):
    """Exchanges to leave out, and the reply's cap in tokens (None: no cap is sent)."""

    left_out: int
    cap: int | None


class ContextWindow:
    """Asks the roles of one dialogue, cutting each request to its model's window."""

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
        """Return a role's answer to a chat.

        Args:
            role: The role to ask.
            chat: Returns the messages without the given number of oldest exchanges.
            exchanges: How many exchanges may be left out.
            sampling: Overrides the role's own settings.
            options: Passed on to `Session.ask`.

        Raises:
            ModelFault: Not even the last exchange fits, or `Session.ask` raises it. A chatbot that
                keeps its own memory is asked only once.
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
        """Return `n` answers to a chat, requested at once; the fault for an unanswered request.

        Takes the arguments of `ask`. Equal requests are equally long, so they are cut only if all
        of them are refused as too long.
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
    """Return a role's answer to messages of which nothing may be left out.

    Only the room for the reply is cut to the model's window. Raises what `ContextWindow.ask` does.
    """
    fitted = await ContextWindow(session).ask(role, lambda _: messages, 0, sampling, **options)
    return fitted.answer


def _is_too_long(answer: SessionReply | ModelFault) -> TypeGuard[ModelFault]:
    return isinstance(answer, ModelFault) and answer.kind == "context_length"


class _Model:
    """What is known about a role's model from its earlier responses.

    `window` is in tokens, None until a refusal names it; `last` is the latest plan that worked.
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
        """Return the tokens that a prompt leaves for the reply."""
        assert self.window is not None
        return self.window - int(_MARGIN * self._tokens_per_char * _chars(messages)) - 1


class _Request:
    """One request, and what may be cut from it. `wanted` is the cap its reply should have."""

    def __init__(self, model: _Model, chat: Chat, exchanges: int, wanted: int | None) -> None:
        self.wanted = wanted
        self._model, self._chat, self._exchanges = model, chat, exchanges
        self._least = min(LEAST_REPLY, wanted or LEAST_REPLY)

    def first(self) -> _Plan:
        """Return the plan to try first: nothing is cut until a request was refused."""
        if self._model.window is not None:
            return self._within(range(self._exchanges + 1), self.wanted) or _Plan(
                self._exchanges, self.wanted
            )
        left_out, cap = self._model.last or _Plan(0, None)
        caps = [one for one in (cap, self.wanted) if one is not None]
        return _Plan(min(left_out, self._exchanges), min(caps, default=None))

    def smaller(self, plan: _Plan, *, again: bool) -> _Plan | None:
        """Return a smaller plan than the one that was refused; None if there is none.

        If a second plan with as many exchanges is refused (`again`), the reported length of the
        prompt is not trusted, and the reply is halved.
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
        """Return a smaller request for a model whose context window is unknown."""
        left_out, cap = plan
        last = left_out == self._exchanges
        least = SHORTEST_REPLY if last else self._least
        if cap is not None and cap > least:
            return _Plan(left_out, max(cap // 2, least))
        return None if last else _Plan(left_out + 1, cap)

    def _within(self, left_out: range, cap: int | None) -> _Plan | None:
        """Return the plan that cuts least of those that leave room for a reply."""
        for number in left_out:
            room = self._model.room(self._chat(number))
            least = SHORTEST_REPLY if number == self._exchanges else self._least
            if room >= least and (cap is None or cap >= min(least, self.wanted or least)):
                return _Plan(number, None if cap is None else min(cap, room))
        return None


def _chars(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _cap(sampling: Sampling) -> int | None:
    """Return the most tokens a reply may have; `extra` overrides the other settings."""
    extra = sampling.extra or {}
    caps = [extra[key] for key in _CAPS if isinstance(extra.get(key), int)]
    return min(caps, default=sampling.max_tokens)


def _capped(sampling: Sampling, cap: int | None) -> Sampling:
    """Return the settings with another cap, under every key that sets one."""
    extra = {key: cap if key in _CAPS else value for key, value in (sampling.extra or {}).items()}
    return sampling.model_copy(update={"max_tokens": cap, **({"extra": extra} if extra else {})})
