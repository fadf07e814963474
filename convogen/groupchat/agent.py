"""An agent that plays a persona and says one utterance per turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from convogen.errors import ModelFault
from convogen.generation.example_experiences import description
from convogen.groupchat.addressed import addressed_schema, split_addressee
from convogen.groupchat.messages import agent_messages, identity, instructions, sayable
from convogen.models.base import Message, ModelReply, Sampling
from convogen.models.traffic.context_window import Fitted
from convogen.models.traffic.session import SessionReply
from convogen.records import Persona, Turn
from convogen.text.budgets import about_words, tokens_of
from convogen.text.language_tags import ENGLISH
from convogen.text.turn_checks import Scene, Utterance, complaint, read_utterance
from convogen.text.utterances import (
    is_farewell_loop,
    length_fault,
    nearest_sentences,
    whole_sentences,
    word_runs,
)

if TYPE_CHECKING:
    from convogen.groupchat.chat import Chat

__all__ = ["PersonaAgent"]

_OF_LENGTH = ("too_long", "too_short")

ADDRESS_TOKENS = 40
"""Number of extra tokens allowed for the addressee and the JSON syntax."""

MOST_TIMES = 2
"""A reply that exceeds this multiple of the maximum number of words counts as too long."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt at a turn: the reply's fault, and its usable part, if any.

    `words` is None if there was no reply. `off` is the difference between `words` and the requested
    number. `likelihood` is the mean log-probability per token; 0 if unknown. `to` is the addressee;
    None if no addressee was requested or given.
    """

    fault: str | None
    words: int | None = None
    off: int = 0
    likelihood: float = 0.0
    taken: tuple[Fitted, Utterance] | None = None
    to: str | None = None

    def rank(self) -> tuple[int, float]:
        """Return a sort key that puts better attempts first: attempts without a fault, then
        attempts that are usable despite a fault."""
        if self.fault is None:
            return 0, -self.likelihood
        if self.taken:
            return 1, self.off
        return (3, 0) if self.words is None else (2, 0)


class PersonaAgent(BaseChatAgent):
    """The agent that plays a persona. Its name in AutoGen is an ASCII key; `display` is the
    persona's name."""

    def __init__(self, chat: Chat, key: str, persona: Persona) -> None:
        super().__init__(key, description=description(persona) or persona.name)
        self._chat = chat
        self.display = persona.name
        self._others = tuple(name for name in chat.keys if name != persona.name)
        private = chat.private.get(persona.name, ())
        self._system = identity(
            chat.prompts.agent, chat.experience, persona, chat.rules.max_words, private
        )
        asked = f"{self._system}\n{chat.opening}"
        self._language = chat.experience.language or ENGLISH
        self._unsaid = word_runs(instructions(asked, sayable(chat.experience, persona)))

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
        """Request utterances until one is accepted; end the chat if no utterance is accepted.

        If only the length is wrong, or the text was cut off after a whole sentence, the best
        attempt is accepted after the last retry.
        """
        chat, target = self._chat, self._chat.target_words
        attempts: list[_Attempt] = []
        checked: list[str] = []
        note: str | None = None
        for _ in range(1 + chat.rules.reasks):
            candidates = await self._candidates(target, note)
            checked += [attempt.fault or "" for attempt in candidates]
            attempts.append(min(candidates, key=_Attempt.rank))
            fault, words = attempts[-1].fault, attempts[-1].words
            if fault is None:
                break
            most = target or chat.rules.max_words or 0
            note = complaint(fault, words=words or 0, target=most)
        best = min(attempts, key=_Attempt.rank)
        if best.taken is None:
            chat.refused = [attempt.fault or "" for attempt in attempts]
            chat.ended = chat.refused[-1]
            return ""
        fitted, utterance = best.taken
        answer = fitted.answer
        turn = Turn(
            speaker=self.display,
            text=utterance.text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            selection=chat.selection,
            reasks=[attempt.fault for attempt in attempts if attempt.fault and attempt is not best],
            tidied=list(utterance.tidied),
            target_words=target,
            lapse=best.fault if best.fault in _OF_LENGTH else None,
            candidates=checked if chat.rules.candidates > 1 else [],
            capped_at=fitted.capped_at,
            left_out=fitted.left_out,
            addressee=best.to,
        )
        self._take(turn)
        return utterance.text

    async def _candidates(self, target: int | None, note: str | None) -> list[_Attempt]:
        """Request as many candidates as the rules require, concurrently, and check each reply.

        If all requests fail, the first fault that is not a refusal is raised. Refusals alone are
        not raised, since some endpoints report a refusal as an error.
        """
        n = self._chat.rules.candidates
        more: dict[str, Any] = {"top_logprobs": 1} if n > 1 else {}
        if self._chat.rules.addressees:
            more["schema"] = addressed_schema(self._others)
        chat = partial(self._messages, note)
        replies = await self._chat.ask_several(n, "agent", chat, **more, **self._room(target))
        faults = [one for one in replies if isinstance(one, ModelFault)]
        if len(faults) == len(replies):
            for fault in faults:
                if fault.kind != "refusal":
                    raise fault
        return [self._attempt(reply, target, note) for reply in replies]

    def _attempt(
        self, reply: Fitted | ModelFault, target: int | None, note: str | None
    ) -> _Attempt:
        if isinstance(reply, ModelFault):
            return _Attempt(reply.kind)
        reply, to = self._addressed(reply)
        said = self._read(reply.answer, target, note)
        words = about_words(said.text, self._chat.experience.language)
        fault = said.fault or self._length_fault(said.text, target)
        kept = _kept(said)
        taken = None if kept is None else (reply, kept)
        off = abs(words - (target or 0))
        return _Attempt(fault, words, off, _likelihood(reply.answer.reply), taken, to)

    def _addressed(self, reply: Fitted) -> tuple[Fitted, str | None]:
        """Return the reply, reduced to its utterance, and the addressee."""
        if not self._chat.rules.addressees:
            return reply, None
        text, to = split_addressee(reply.answer.text, self._others)
        return reply._replace(answer=replace(reply.answer, text=text)), to

    def _room(self, target: int | None) -> dict[str, Sampling]:
        """Return a token limit that allows twice the requested number of words, unless the role has
        its own limit."""
        given = self._chat.session.traffic.role("agent").sampling.max_tokens
        if target is None or given is not None:
            return {}
        room = 2 * tokens_of(target, self._chat.experience.language) + 24
        room += ADDRESS_TOKENS if self._chat.rules.addressees else 0
        return {"sampling": Sampling(max_tokens=room)}

    def _read(self, answer: SessionReply, target: int | None, note: str | None) -> Utterance:
        """Return the utterance in a reply, cut at the sentence end nearest to the target length, if
        any."""
        chat = self._chat
        notes = [one for one in (note, chat.turn_note(self.display)) if one]
        scene = Scene(
            speaker=self.display,
            others=self._others,
            earlier=tuple(turn.text for turn in chat.turns),
            unsaid=self._unsaid | word_runs(notes) if notes else self._unsaid,
        )
        utterance = read_utterance(
            answer.text, scene, cut_off=answer.cut_off, language=self._language
        )
        if answer.reply.thought:
            utterance = replace(utterance, tidied=("thinking", *utterance.tidied))
        kept = _kept(utterance)
        if target is None or kept is None:
            return utterance
        whole = nearest_sentences(kept.text, target, chat.experience.language)
        return Utterance(whole, utterance.tidied)

    def _length_fault(self, text: str, target: int | None) -> str | None:
        """Return `too_long` or `too_short` if a text is far from the requested length; otherwise
        None."""
        language = self._chat.experience.language
        if target is not None:
            return length_fault(text, target, language)
        most = self._chat.rules.max_words
        return "too_long" if most and about_words(text, language) > MOST_TIMES * most else None

    def _take(self, turn: Turn) -> None:
        chat = self._chat
        chat.turns.append(turn)
        chat.selection = None
        chat.on_turn()
        if is_farewell_loop([turn.text for turn in chat.turns], self._language):
            chat.ended = "farewell"

    def _messages(self, note: str | None, turns: Sequence[Turn]) -> list[Message]:
        chat = self._chat
        at_end = chat.prompts.turn.render(
            name=self.display,
            goes_on=chat.turns[-1].speaker == self.display,
            target_words=chat.target_words,
            complaint=note,
        )[0].content
        if chat.rules.addressees and chat.prompts.addressed is not None:
            ask = chat.prompts.addressed.render(name=self.display, others=self._others)
            at_end = f"{at_end}\n{ask[0].content}".strip()
        if asked := chat.turn_note(self.display):
            at_end = f"{at_end}\n{asked}".strip()
        return agent_messages(self._system, chat.opening, turns, self.display, at_end)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Do nothing, since a chat is played only once."""


def _likelihood(reply: ModelReply) -> float:
    """Return the mean log-probability of a reply's tokens; 0 if the endpoint reports none."""
    if not reply.logprobs:
        return 0.0
    return sum(token.logprob for token in reply.logprobs) / len(reply.logprobs)


def _kept(utterance: Utterance) -> Utterance | None:
    """Return the usable part of a reply: all of it, or its whole sentences if it was cut off."""
    if utterance.fault != "cut_off":
        return utterance if utterance.fault is None else None
    whole = whole_sentences(utterance.text)
    return None if whole == utterance.text else Utterance(whole, (*utterance.tidied, "cut_off"))
