"""The state of a chat, and a function that plays a chat from its opening to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import AgentRuntime

from convogen.errors import ModelFault
from convogen.generation.example_experiences import description
from convogen.groupchat.agent import PersonaAgent
from convogen.groupchat.runtime import UntracedRuntime
from convogen.groupchat.selector import Ended, Selector
from convogen.models.base import Message
from convogen.models.traffic.context_window import ContextWindow, Fitted
from convogen.models.traffic.session import Session
from convogen.prompts import Prompt
from convogen.records import Experience, Selection, Turn
from convogen.text.speakers import agent_keys

__all__ = ["Chat", "ChatPrompts", "ChatRules", "Played", "play_group_chat"]

LONGEST = 600
"""Maximum length, in characters, of a person's description that is shown to the manager."""

Shown = Callable[[Sequence[Turn]], Sequence[Message]]

SpeakerSelection = Literal["auto", "round_robin"]


@dataclass(frozen=True, slots=True)
class ChatRules:
    """The rules of a chat.

    `max_turns` includes the starter. `max_words` is the guideline for the maximum number of words
    in a reply; None for no limit. `reasks` is the maximum number of retries per utterance.
    `turn_words` contains the number of words requested for each turn, beginning with the starter;
    None if no length is requested. `candidates` is the number of replies requested per turn, of
    which one is selected. With `addressees`, agents state the addressee of each utterance.
    `turn_notes` contains instructions for each speaker's turns, used cyclically; None if there are
    none.
    """

    max_turns: int
    _: KW_ONLY
    speaker_selection: SpeakerSelection
    allow_repeats: bool
    max_words: int | None
    reasks: int
    turn_words: tuple[int, ...] | None = None
    candidates: int = 1
    addressees: bool = False
    turn_notes: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class ChatPrompts:
    """The prompts for a chat: the user proxy's opening, an agent's system message, the note that
    ends an agent's request, the manager's question, and the request for an addressee."""

    opening: Prompt
    agent: Prompt
    turn: Prompt
    selector: Prompt
    addressed: Prompt | None = None

    STEPS: ClassVar[tuple[str, ...]] = ("opening", "agent", "turn", "selector")

    @classmethod
    def of(cls, prompts: Mapping[str, Prompt], **given: Any) -> ChatPrompts:
        """Return the chat prompts among a method's prompts.

        `given` provides values for variables of the opening.
        """
        steps = {step: prompts[step] for step in cls.STEPS}
        steps["opening"] = steps["opening"].partial(**given)
        return cls(**steps, addressed=prompts.get("addressed"))


@dataclass(frozen=True, slots=True)
class Played:
    """The turns of a chat, beginning with the starter, and the reason why the chat ended.

    `refused` lists the faults of the attempts at a turn that ended the chat early.
    """

    turns: list[Turn]
    ended: str
    refused: list[str]


async def play_group_chat(
    experience: Experience,
    rules: ChatRules,
    *,
    prompts: ChatPrompts,
    session: Session,
    on_turn: Callable[[], None],
    private: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Played:
    """Play one experience and return its turns; `on_turn` is called after each turn.

    `private` maps the name of a person to facts that only this person knows, besides memories.

    Raises the errors of `Session.ask`. A `ModelFault` is raised only if fewer than half of the
    turns are done, or if the selector never gave a usable reply. Otherwise, the kind of the fault
    becomes the reason why the chat ended.
    """
    chat = Chat(
        experience, rules, prompts=prompts, session=session, on_turn=on_turn, private=private
    )
    if rules.max_turns < 2:
        return Played(chat.turns, "max_turns", [])
    opening = TextMessage(content=chat.opening, source="user")
    running = asyncio.ensure_future(_run(chat, opening))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        chat.stop()  # Cancelling AutoGen midway leaks tasks, so let it end on its own.
        await running
        raise
    stands = 2 * len(chat.turns) >= rules.max_turns and not chat.undirected
    if isinstance(chat.failed, ModelFault) and stands:
        return Played(chat.turns, chat.failed.kind, [])
    if chat.failed is not None:
        raise chat.failed
    return Played(chat.turns, chat.ended or "max_turns", chat.refused)


async def _run(chat: Chat, opening: TextMessage) -> None:
    runtime = UntracedRuntime()
    runtime.start()
    try:
        await chat.team(runtime).run(task=opening)
    finally:
        await runtime.stop_when_idle()
        # Agents, team and runtime refer to each other. Without this line, a chat leaves 500 objects
        # that only the garbage collector can free, which pauses all chats.
        vars(runtime).clear()


@dataclass
class Chat:
    """The state of one chat, shared by its agents and its selector.

    `failed` is the exception of a failed model call. The chat ends first, and the exception is
    raised afterwards, because AutoGen would turn it into a `RuntimeError`.
    """

    experience: Experience
    rules: ChatRules
    _: KW_ONLY
    prompts: ChatPrompts
    session: Session
    on_turn: Callable[[], None]
    private: Mapping[str, Sequence[str]]
    turns: list[Turn] = field(init=False)
    ended: str | None = None
    refused: list[str] = field(default_factory=list[str])
    failed: BaseException | None = None
    undirected: bool = False
    selection: Selection | None = None
    asking: asyncio.Future[Any] | None = None

    def __post_init__(self) -> None:
        starter = self.experience.starter
        self.turns = []
        opening = Turn(speaker=starter.speaker, text=starter.text, origin="starter")
        self.turns = [opening.model_copy(update={"target_words": self.target_words})]
        self.names = agent_keys([persona.name for persona in self.experience.personas])
        self.keys = {name: key for key, name in self.names.items()}
        self._window = ContextWindow(self.session)
        self.on_turn()

    @property
    def over(self) -> bool:
        return self.ended is not None or self.failed is not None

    @property
    def target_words(self) -> int | None:
        """The requested number of words in the next turn; None if no number is requested."""
        return self.rules.turn_words[len(self.turns)] if self.rules.turn_words else None

    def turn_note(self, speaker: str) -> str | None:
        """Return the instruction for a speaker's next turn; None if the chat has no such notes."""
        if self.rules.turn_notes is None:
            return None
        notes = self.rules.turn_notes[speaker]
        return notes[sum(turn.speaker == speaker for turn in self.turns) % len(notes)]

    async def ask(self, role: str, chat: Shown, **options: Any) -> Fitted:
        """Request a reply from a model; `stop` cancels the request.

        Raises `ModelFault` if the request fails.
        """
        (answer,) = await self.ask_several(1, role, chat, **options)
        if isinstance(answer, ModelFault):
            raise answer
        return answer

    async def ask_several(
        self, n: int, role: str, chat: Shown, **options: Any
    ) -> list[Fitted | ModelFault]:
        """Request `n` replies from a model concurrently, and return each reply or, if a request
        fails, its fault.

        `chat` returns the messages for the turns that it is given: all turns, or as many of the
        last turns as fit into the model's context, but at least one.
        """
        if self.failed is not None:
            raise asyncio.CancelledError  # the chat was stopped after the last reply had arrived
        turns = self.turns

        def shown(left_out: int) -> Sequence[Message]:
            return chat(turns[left_out:])

        asking = self._window.ask_several(n, role, shown, len(turns) - 1, **options)
        self.asking = asyncio.ensure_future(asking)
        return await self.asking

    def stop(self) -> None:
        """End the chat immediately."""
        self.failed = asyncio.CancelledError()
        if self.asking is not None:
            self.asking.cancel()

    @cached_property
    def opening(self) -> str:
        """The user proxy's opening message, with the situation, the relations and the topic."""
        e = self.experience
        return self.prompts.opening.render(
            situation=e.situation, relations=e.relations, topic=e.topic
        )[0].content

    @cached_property
    def people(self) -> list[dict[str, str]]:
        """Everyone's name and public description, as shown to the manager."""
        return [
            {"name": persona.name, "about": description(persona)[:LONGEST]}
            for persona in self.experience.personas
        ]

    def candidates(self) -> list[str]:
        """Return the keys of the people who may speak next."""
        last = self.turns[-1].speaker
        keys = [k for k, n in self.names.items() if self.rules.allow_repeats or n != last]
        return keys or list(self.names)

    def team(self, runtime: AgentRuntime) -> SelectorGroupChat | RoundRobinGroupChat:
        agents: list[Any] = [
            PersonaAgent(self, self.keys[persona.name], persona)
            for persona in self.experience.personas
        ]
        end, cap = Ended(self), self.rules.max_turns - 1
        if self.rules.speaker_selection == "round_robin":
            first = next(i for i, a in enumerate(agents) if a.display == self.turns[0].speaker) + 1
            agents = agents[first:] + agents[:first]
            return RoundRobinGroupChat(
                agents, termination_condition=end, max_turns=cap, runtime=runtime
            )
        return SelectorGroupChat(
            agents,
            runtime=runtime,
            model_client=Selector(self),
            termination_condition=end,
            max_turns=cap,
            selector_prompt="",  # the selector has its own prompt
            allow_repeated_speaker=True,  # `candidates` decides: AutoGen does not know the starter
            candidate_func=lambda _: self.candidates(),
            max_selector_attempts=1,
        )
