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
from convogen.models.base import Message, Sampling
from convogen.models.traffic import Answer
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
        target = self._chat.target_words
        faults: list[str] = []
        best: tuple[int, int, Answer, str] | None = None
        complaint: str | None = None
        for attempt in range(1 + self._chat.rules.reasks):
            answer = await self._chat.ask("agent", self._messages(complaint), **self._room(target))
            text = self._said(answer, target)
            fault = self._fault(answer.text, text)
            off = 0
            if fault is None and target is not None:
                off = abs(len(text.split()) - target)
                fault = speech.length_fault(text, target)
            if fault in (None, "too_long", "too_short") and (best is None or off < best[0]):
                best = (off, attempt, answer, text)
            if fault is None:
                break
            faults.append(fault)
            complaint = _COMPLAINTS[fault].format(words=len(text.split()), target=target)
        if best is None:
            self._chat.ended = faults[-1]
            return ""
        _, taken, answer, text = best
        self._take(answer, text, faults[:taken] + faults[taken + 1 :])
        return text

    def _room(self, target: int | None) -> dict[str, Sampling]:
        """The tokens that so many words take, where the role's sampling sets no other number."""
        given = self._chat.session.traffic.role("agent").sampling.max_tokens
        if target is None or given is not None:
            return {}
        return {"sampling": Sampling(max_tokens=2 * target + 4)}

    def _said(self, answer: Answer, target: int | None) -> str:
        """What the speaker says in an answer, in whole sentences."""
        text = speech.tidy(answer.text, self.display)
        others = [name for name in self._chat.names.values() if name != self.display]
        text = speech.spoken_part(text, others)
        if answer.finish_reason == "length":
            text = speech.whole_sentences(text)
        return text if target is None else speech.nearest_sentences(text, target)

    def _take(self, answer: Answer, text: str, reasks: list[str]) -> None:
        chat = self._chat
        turn = Turn(
            speaker=self.display,
            text=text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            selection=chat.selection,
            reasks=reasks,
            target_words=chat.target_words,
        )
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
            target_words=self._chat.target_words,
            complaint=complaint,
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget: a chat is played once."""


_COMPLAINTS = {
    "empty_reply": "Nothing was said. Say something.",
    "role_break": "Speak only for yourself, as the person you are.",
    "repetition": "You have said that before. Say something new.",
    "too_long": "That was too long: {words} words. Say it in about {target}.",
    "too_short": "That was too short: {words} words. Say more, about {target} words.",
}
"""What a speaker is told when asked again."""
