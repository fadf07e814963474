"""Chat formats: a group chat as one of its people sees it.

That person is the assistant, everybody else a user. A user's text begins with the name, since a
chat has but one user and most templates drop names; `name` has it too, as an identifier. The system
message says who the assistant is and what the scene is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from convogen.corpora.seeds import INQUIRER, RESPONDER
from convogen.errors import SourceError
from convogen.experiences import card_text
from convogen.exports.base import Column, Container, Exporter, Item
from convogen.speakers import agent_keys
from convogen.types import Conversation, Experience

__all__ = ["EACH", "Message", "Messages", "ShareGPT", "seen_by"]

EACH = "each"
_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a chat; `name` is None where several people said it."""

    role: str
    content: str
    name: str | None = None


class _Chat(Exporter):
    """What both chat formats have in common."""

    with_context: ClassVar[bool] = False

    perspective: str | None = Field(
        default=None, min_length=1, description="a speaker's name, or `each`: a row per speaker"
    )
    merge: bool = Field(
        default=True, description="turns in a row of one side become one message, a line a turn"
    )
    system: bool = Field(default=True, description="a system message: the persona and the scene")

    def check(self, speakers: Mapping[str, int]) -> None:
        if self.perspective in (None, EACH) or self.perspective in speakers:
            return
        most = sorted(speakers, key=lambda name: (-speakers[name], name))[:10]
        raise SourceError(
            f"perspective {self.perspective!r}: nobody of that name speaks in this run; allowed: "
            f"{EACH}, or a speaker such as {', '.join(map(repr, most))}"
        )

    def viewpoints(self, conversation: Conversation) -> list[str]:
        """Whose rows a conversation has: who never speaks has nothing to be learned from."""
        speakers = list(dict.fromkeys(turn.speaker for turn in conversation.turns))
        if self.perspective in (None, EACH):
            return speakers
        return [name for name in speakers if name == self.perspective]


class Messages(_Chat):
    """`messages` with roles, the shape of the OpenAI API and of TRL's conversational data."""

    name: ClassVar[str] = "messages"
    container: ClassVar[Container] = "jsonl"
    about_rows: ClassVar[str] = "a row is a conversation as its `perspective` sees it"

    def columns(self) -> dict[str, Column]:
        message = {"role": "string", "content": "string", "name": "string"}
        return {
            "id": "string",
            "experience": "string",
            "perspective": "string",
            "messages": [message],
        }

    def rows(self, item: Item) -> Iterator[dict[str, Any]]:
        for name in self.viewpoints(item.conversation):
            messages = seen_by(name, item, merge=self.merge, system=self.system)
            yield {
                "id": item.conversation.id,
                "experience": item.conversation.experience,
                "perspective": name,
                "messages": [_message(message) for message in messages],
            }


class ShareGPT(_Chat):
    """`conversations` of `from` and `value`.

    Without a perspective `from` is the speaker's name and `value` what was said; with one it is
    `system`, `human` or `gpt`, as training tools expect.
    """

    name: ClassVar[str] = "sharegpt"
    container: ClassVar[Container] = "jsonl"
    about_rows: ClassVar[str] = (
        "a row is a conversation; where it has a `perspective`, as that person sees it"
    )

    def columns(self) -> dict[str, Column]:
        return {
            "id": "string",
            "experience": "string",
            "perspective": "string",
            "conversations": [{"from": "string", "value": "string"}],
        }

    def rows(self, item: Item) -> Iterator[dict[str, Any]]:
        found = item.conversation
        shared = {"id": found.id, "experience": found.experience}
        if self.perspective is None:
            turns = [{"from": turn.speaker, "value": turn.text} for turn in found.turns]
            yield {**shared, "perspective": None, "conversations": turns}
            return
        for name in self.viewpoints(found):
            messages = seen_by(name, item, merge=self.merge, system=self.system)
            chat = [{"from": _ROLES[one.role], "value": one.content} for one in messages]
            yield {**shared, "perspective": name, "conversations": chat}


def seen_by(viewer: str, item: Item, *, merge: bool, system: bool) -> list[Message]:
    """A conversation as the messages of a chat in which `viewer` is the assistant.

    A person and a chatbot are a chat as they are: no names, and no scene.
    """
    found = item.conversation
    names = dict.fromkeys([*found.participants, *(turn.speaker for turn in found.turns)])
    if set(names) == {INQUIRER, RESPONDER}:
        pairs = ((turn.speaker == viewer, turn.text) for turn in found.turns)
        return [Message("assistant" if mine else "user", text) for mine, text in pairs]
    keys = {name: key for key, name in agent_keys(list(names)).items()}
    messages: list[Message] = []
    if system:
        messages.append(Message("system", _scene(viewer, list(names), item)))
    for turn in found.turns:
        mine = turn.speaker == viewer
        text = turn.text if mine else f"{turn.speaker}: {turn.text}"
        said = Message("assistant" if mine else "user", text, keys[turn.speaker])
        last = messages[-1] if messages else None
        if merge and last is not None and last.role == said.role:
            name = last.name if last.name == said.name else None
            messages[-1] = Message(last.role, f"{last.content}\n{text}", name)
        else:
            messages.append(said)
    return messages


def _scene(viewer: str, names: list[str], item: Item) -> str:
    """Who the assistant is, and what the conversation is grounded in."""
    others = ", ".join(name for name in names if name != viewer)
    company = f", in a conversation with {others}" if others else ""
    parts = [f"You are {viewer}{company}."]
    parts.append(_persona(viewer, item.experience))
    for label in ("relations", "situation", "topic"):
        value = item.conversation.context.get(label)
        if isinstance(value, str) and value:
            parts.append(f"{label.capitalize()}: {value}")
    return "\n".join(part for part in parts if part)


def _persona(name: str, experience: Experience | None) -> str:
    for persona in experience.personas if experience else ():
        if persona.name == name:
            return card_text(persona)
    return ""


def _message(message: Message) -> dict[str, str]:
    named = {"name": message.name} if message.name else {}
    return {"role": message.role, "content": message.content, **named}
