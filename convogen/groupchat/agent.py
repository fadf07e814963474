"""An agent of a persona: says one utterance when it is its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from convogen import speech
from convogen.experiences import memories_text
from convogen.models.base import Message
from convogen.types import Persona, Turn

if TYPE_CHECKING:
    from convogen.groupchat.chat import Chat

__all__ = ["PersonaAgent"]


class PersonaAgent(BaseChatAgent):
    """A persona in the chat: says one utterance when it is its turn."""

    def __init__(self, chat: Chat, key: str, persona: Persona) -> None:
        super().__init__(key, description=persona.name)
        self._chat = chat
        self.display = persona.name
        self._memories = memories_text(persona)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        text = ""
        if not self._chat.over:
            try:
                text = await self._speak()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised later
                self._chat.failed = error
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def _speak(self) -> str:
        """Ask for an utterance until one can be taken; end the chat where none can."""
        complaints: list[str] = []
        fault: str | None = None
        for _ in range(1 + self._chat.rules.reasks):
            messages = self._messages(_COMPLAINTS.get(fault or ""))
            answer = await self._chat.ask("agent", messages)
            text = speech.tidy(answer.text, self.display)
            others = [name for name in self._chat.names.values() if name != self.display]
            text = speech.spoken_part(text, others)
            if answer.finish_reason == "length":
                text = speech.whole_sentences(text)
            fault = self._fault(answer.text, text)
            if fault is None:
                self._take(
                    Turn(
                        speaker=self.display,
                        text=text,
                        origin="agent",
                        model=answer.model,
                        request=answer.request,
                        usage=answer.usage,
                        selection=self._chat.selection,
                        reasks=complaints,
                    )
                )
                return text
            complaints.append(fault)
        self._chat.ended = fault
        return ""

    def _take(self, turn: Turn) -> None:
        chat = self._chat
        chat.turns.append(turn)
        chat.selection = None
        chat.on_turn()
        if speech.is_farewell_loop([turn.text for turn in chat.turns]):
            chat.ended = "farewell"

    def _fault(self, raw: str, text: str) -> str | None:
        """Why an utterance cannot be taken; None where it can."""
        if not raw.strip():
            return "empty_reply"
        if not text or speech.breaks_role(text):
            return "role_break"
        mine = [turn.text for turn in self._chat.turns if turn.speaker == self.display]
        return "repetition" if speech.repeats(text, mine) else None

    def _messages(self, complaint: str | None) -> list[Message]:
        return self._chat.prompts.agent.render(
            opening=self._chat.opening,
            transcript=self._chat.transcript(),
            name=self.display,
            memories=self._memories,
            complaint=complaint,
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget: a chat is played once."""


_COMPLAINTS = {
    "empty_reply": "Nothing was said. Say something.",
    "role_break": "Speak only for yourself, as the person you are.",
    "repetition": "You have said that before. Say something new.",
}
"""What a speaker is told when asked again."""
