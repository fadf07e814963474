"""The manager's side of a chat: who speaks next, and when the chat is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autogen_agentchat.base import TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage
from autogen_core import CancellationToken, Component
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from pydantic import BaseModel

from convogen.errors import ModelFault
from convogen.models.base import Message
from convogen.models.traffic.session import SessionReply
from convogen.records import Selection, Turn
from convogen.text.speakers import longest_silent, resolve_speaker, silence
from convogen.text.transcript import transcript

if TYPE_CHECKING:
    from convogen.groupchat.chat import Chat

__all__ = ["Ended", "Selector"]

OF_THE_TEXT = ("content_filter", "refusal")
"""Faults caused by the content of the chat, not by the model."""

MOST_SILENT = 3
"""Number of empty replies at the start of a chat after which the selector counts as failed."""


class Selector(ChatCompletionClient):
    """The manager's model client, which returns one of the candidates, whatever the model replies.

    If the first replies are all empty, the chat fails, since it would otherwise rely on the
    fallback alone.
    """

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._heard = False
        self._silent = 0

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Any] = (),
        tool_choice: Any = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        candidates = self._chat.candidates()
        key = candidates[0]
        if not self._chat.over:
            try:
                key = await self._select(candidates)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised later
                self._chat.failed = error
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        return CreateResult(finish_reason="stop", content=key, usage=usage, cached=False)

    async def _select(self, candidates: list[str]) -> str:
        chat = self._chat
        names = {key: chat.names[key] for key in candidates}
        spoke = [turn.speaker for turn in chat.turns]

        def prompt(turns: Sequence[Turn]) -> list[Message]:
            return chat.prompts.selector.render(
                people=chat.people,
                opening=chat.opening,
                transcript=transcript(turns),
                candidates=[{"name": n, "silent": silence(n, spoke)} for n in names.values()],
            )

        answer: SessionReply | None = None
        left_out: int | None = None
        try:
            fitted = await chat.ask("selector", prompt, choices=list(names.values()))
            answer, left_out = fitted.answer, fitted.left_out
        except ModelFault as fault:
            if not self._heard and fault.kind not in OF_THE_TEXT:
                chat.undirected = True
                raise
            reply, key = fault.evidence, None
        else:
            self._listen(answer.text)
            reply, key = answer.text, resolve_speaker(answer.text, names)
        repair = None
        if key is None:
            key = longest_silent(candidates, [chat.keys[name] for name in spoke])
            repair = "longest_silent"
        chat.selection = Selection(
            candidates=list(names.values()),
            reply=reply[:500],
            repair=repair,
            request=answer and answer.request,
            usage=answer and answer.usage,
            left_out=left_out,
        )
        return key

    def _listen(self, reply: str) -> None:
        """Register a reply; raise `ModelFault` if the first replies are all empty."""
        self._heard |= bool(reply.strip())
        self._silent += 1
        if not self._heard and self._silent >= MOST_SILENT:
            self._chat.undirected = True
            message = f"the selector chose nobody: its first {MOST_SILENT} replies were empty"
            raise ModelFault("selector_silent", message)

    def create_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str | CreateResult, None]:
        raise NotImplementedError("the selector does not support streaming")

    async def close(self) -> None:
        """Do nothing, since the run owns the session."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 1 << 20

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=False,
            structured_output=False,
            family="unknown",
        )


class Ended(TerminationCondition, Component[BaseModel]):
    """Ends the chat as soon as `Chat.over` is true."""

    component_config_schema = BaseModel

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    @property
    def terminated(self) -> bool:
        return False

    async def __call__(
        self, messages: Sequence[BaseAgentEvent | BaseChatMessage]
    ) -> StopMessage | None:
        if self._chat.over:
            return StopMessage(content=self._chat.ended or "failed", source="convogen")
        return None

    async def reset(self) -> None:
        """Do nothing, since a chat is played only once."""
