"""The requests to agents.

A request is a chat in which the agent is the assistant. It begins with the agent's system message
and the user proxy's opening. The agent's own turns follow as assistant messages, and other people's
turns as user messages that begin with the speaker's name. Adjacent messages of the same role are
merged, so roles alternate and the last message is the user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from convogen.generation.example_experiences import (
    description,
    free_text,
    know_each_other,
    memories,
    public_card,
)
from convogen.models.base import Message, merged
from convogen.prompts import Prompt
from convogen.records import Experience, Persona, Turn

__all__ = ["agent_messages", "identity", "instructions", "sayable"]

SAYABLE_WORDS = 4
"""Minimum number of words in a phrase that is removed from the instructions; shorter phrases are
too common."""


def identity(
    prompt: Prompt,
    experience: Experience,
    persona: Persona,
    max_words: int | None,
    private: Sequence[str] = (),
) -> str:
    """Return the system message that gives an agent its persona.

    `private` contains facts that only the persona knows, besides its memories.
    """
    shown = know_each_other(experience)
    others = [
        f"{other.name}: {description(other)}" if shown and description(other) else other.name
        for other in experience.personas
        if other is not persona
    ]
    return prompt.render(
        name=persona.name,
        card=public_card(persona),
        text=free_text(persona),
        memories=[*memories(persona), *private],
        others=others,
        max_words=max_words,
    )[0].content


def instructions(text: str, spoken: Iterable[str]) -> list[str]:
    """Return the lines of a request that nobody should say aloud: the request's text without the
    `spoken` phrases."""
    marks = "|".join(re.escape(phrase) for phrase in spoken if len(phrase.split()) >= SAYABLE_WORDS)
    pieces = re.split(marks, text) if marks else [text]
    return [line for piece in pieces for line in piece.splitlines() if line.strip()]


def sayable(experience: Experience, persona: Persona) -> list[str]:
    """Return the parts of an agent's request that its persona may repeat: memories, free text and
    topic.

    The lines of a card are excluded, since they are not in the persona's own words.
    """
    return [*memories(persona), free_text(persona), experience.topic]


def agent_messages(
    system: str, opening: str, turns: Sequence[Turn], speaker: str, note: str
) -> list[Message]:
    """Return the chat in which `speaker` says the next turn; `note` ends the last message."""
    messages = [Message("system", system), Message("user", opening)]
    for turn in turns:
        text = " ".join(turn.text.split())
        if turn.speaker == speaker:
            messages.append(Message("assistant", text))
        else:
            messages.append(Message("user", f"{turn.speaker}: {text}"))
    return merged([*messages, Message("user", note)])
