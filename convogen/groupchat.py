"""A group chat played turn by turn by AutoGen; the only module that imports it.

AutoGen keeps the chat: it broadcasts each message to all agents, its manager asks the selector
who speaks next and stops at the turn cap. What is ours: every call goes through the task's
`Session`; a selector's reply is resolved to one candidate, or repaired and recorded; an
utterance that is empty, repeats its speaker or breaks the role is asked for again, boundedly;
and no exception passes through AutoGen, which would lose its type (see `_Chat.failed`).
Source: ConvoGen, section II-C-2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TerminationCondition
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    StopMessage,
    TextMessage,
)
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken, Component
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from pydantic import BaseModel

from convogen import speech
from convogen.experiences import card_text
from convogen.models.base import Message
from convogen.models.traffic import Answer, Session
from convogen.prompts import Prompt
from convogen.speakers import agent_keys, description, longest_silent, resolve_speaker
from convogen.types import Experience, Persona, Selection, Turn

__all__ = ["ChatPrompts", "ChatRules", "play_group_chat"]

SpeakerSelection = Literal["auto", "round_robin"]


@dataclass(frozen=True, slots=True)
class ChatRules:
    """How a chat is held.

    `max_turns` counts the starter. `max_words` is the guideline on the length of a reply, None
    for chatty. `reasks` bounds how often one utterance is asked for again.
    """

    max_turns: int
    speaker_selection: SpeakerSelection
    allow_repeats: bool
    max_words: int | None
    reasks: int


@dataclass(frozen=True, slots=True)
class ChatPrompts:
    """The prompts of a chat."""

    opening: Prompt
    agent: Prompt
    selector: Prompt


async def play_group_chat(
    experience: Experience,
    rules: ChatRules,
    prompts: ChatPrompts,
    session: Session,
    on_turn: Callable[[], None],
) -> tuple[list[Turn], str]:
    """Play one experience; return its turns, the starter first, and why it ended.

    `on_turn` is called after each reply. Raises what `Session.ask` raises.
    """
    chat = _Chat(experience, rules, prompts, session, on_turn)
    if rules.max_turns < 2:
        return chat.turns, "max_turns"
    opening = TextMessage(content=chat.opening(), source="user")
    running = asyncio.ensure_future(chat.team().run(task=opening))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        chat.stop()  # AutoGen cancelled in the middle leaves tasks behind: let it end by itself
        await running
        raise
    if chat.failed is not None:
        raise chat.failed
    return chat.turns, chat.ended or "max_turns"


@dataclass
class _Chat:
    """The state of one chat, shared by its agents and its selector; never by two chats.

    `failed` keeps an exception of a model call: the chat is brought to its end and the exception
    raised after it, because AutoGen would turn it into a `RuntimeError`.
    """

    experience: Experience
    rules: ChatRules
    prompts: ChatPrompts
    session: Session
    on_turn: Callable[[], None]
    turns: list[Turn] = field(init=False)
    ended: str | None = None
    failed: BaseException | None = None
    selection: Selection | None = None
    asking: asyncio.Future[Answer] | None = None

    def __post_init__(self) -> None:
        starter = self.experience.starter
        self.turns = [Turn(speaker=starter.speaker, text=starter.text, origin="starter")]
        self.names = agent_keys([persona.name for persona in self.experience.personas])
        self.keys = {name: key for key, name in self.names.items()}

    @property
    def over(self) -> bool:
        return self.ended is not None or self.failed is not None

    async def ask(self, role: str, messages: Sequence[Message], **more: Any) -> Answer:
        """Ask a model; `stop` ends the wait."""
        self.asking = asyncio.ensure_future(self.session.ask(role, messages, **more))
        return await self.asking

    def stop(self) -> None:
        """Bring the chat to its end now."""
        self.failed = asyncio.CancelledError()
        if self.asking is not None:
            self.asking.cancel()

    def opening(self) -> str:
        """What the user proxy says: the scene, then the starter in its speaker's mouth."""
        starter = self.experience.starter
        return f"{self.scene()}\n{self.keys[starter.speaker]}: {starter.text}"

    def scene(self) -> str:
        e = self.experience
        values = {"situation": e.situation, "relations": e.relations, "topic": e.topic}
        return self.prompts.opening.render(**values)[0].content

    def candidates(self) -> list[str]:
        """The keys of those who may speak next."""
        last = self.turns[-1].speaker
        keys = [k for k, n in self.names.items() if self.rules.allow_repeats or n != last]
        return keys or list(self.names)

    def team(self) -> SelectorGroupChat | RoundRobinGroupChat:
        agents: list[Any] = [
            _PersonaAgent(self, self.keys[persona.name], persona)
            for persona in self.experience.personas
        ]
        end, cap = _Ended(self), self.rules.max_turns - 1
        if self.rules.speaker_selection == "round_robin":
            first = next(i for i, a in enumerate(agents) if a.display == self.turns[0].speaker) + 1
            agents = agents[first:] + agents[:first]
            return RoundRobinGroupChat(agents, termination_condition=end, max_turns=cap)
        return SelectorGroupChat(
            agents,
            model_client=_Selector(self),
            termination_condition=end,
            max_turns=cap,
            selector_prompt=_selector_template(self.prompts.selector),
            allow_repeated_speaker=True,  # our candidates say who may: AutoGen forgets the starter
            candidate_func=lambda _: self.candidates(),
            max_selector_attempts=1,
        )


class _PersonaAgent(BaseChatAgent):
    """A persona in the chat: keeps what it heard, says one utterance when it is its turn."""

    def __init__(self, chat: _Chat, key: str, persona: Persona) -> None:
        super().__init__(key, description=description(persona))
        self._chat = chat
        self._heard: list[str] = []
        self.display = persona.name
        self._persona = persona

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        starter = self._chat.experience.starter
        for message in messages:
            if message.source == "user":
                self._heard.append(f"{starter.speaker}: {starter.text}")
            else:
                speaker = self._chat.names[message.source]
                self._heard.append(f"{speaker}: {message.to_model_text()}")
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
        self._heard.append(f"{turn.speaker}: {turn.text}")
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
        others = [name for name in self._chat.names.values() if name != self.display]
        return self._chat.prompts.agent.render(
            name=self.display,
            persona=card_text(self._persona),
            others=" and ".join([", ".join(others[:-1]), others[-1]] if others[1:] else others),
            max_words=self._chat.rules.max_words,
            scene=self._chat.scene(),
            transcript="\n".join(self._heard),
            complaint=complaint,
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._heard.clear()


_COMPLAINTS = {
    "empty_reply": "Nothing was said. Say something.",
    "role_break": "Speak only for yourself, as the person you are.",
    "repetition": "You have said that before. Say something new.",
}
"""What a speaker is told when asked again."""


class _Selector(ChatCompletionClient):
    """The manager's model client: whatever the model replies, one candidate comes back."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, chat: _Chat) -> None:
        self._chat = chat

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
                key = await self._select(candidates, messages)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised later
                self._chat.failed = error
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        return CreateResult(finish_reason="stop", content=key, usage=usage, cached=False)

    async def _select(self, candidates: list[str], messages: Sequence[LLMMessage]) -> str:
        chat = self._chat
        prompt = [Message("user", str(message.content)) for message in messages]
        answer = await chat.ask("selector", prompt, choices=candidates)
        names = {key: chat.names[key] for key in candidates}
        key = resolve_speaker(answer.text, names)
        repair = None
        if key is None:
            key = longest_silent(candidates, [chat.keys[turn.speaker] for turn in chat.turns])
            repair = "longest_silent"
        chat.selection = Selection(
            candidates=list(names.values()),
            reply=answer.text[:500],
            repair=repair,
            request=answer.request,
            usage=answer.usage,
        )
        return key

    def create_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str | CreateResult, None]:
        raise NotImplementedError("the selector does not stream")

    async def close(self) -> None:
        """The session belongs to the run."""

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


class _Ended(TerminationCondition, Component[BaseModel]):
    """Ends the chat as soon as its state says so."""

    component_config_schema = BaseModel

    def __init__(self, chat: _Chat) -> None:
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
        """Nothing to forget: a chat is played once."""


def _selector_template(prompt: Prompt) -> str:
    """Our prompt as the `str.format` text AutoGen wants: its three fields, all else literal."""
    marks = {name: f"\ue000{name}\ue001" for name in ("roles", "history", "participants")}
    text = prompt.render(**marks)[0].content.replace("{", "{{").replace("}", "}}")
    for name, mark in marks.items():
        text = text.replace(mark, f"{{{name}}}")
    return text
