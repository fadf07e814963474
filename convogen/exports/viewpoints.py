"""A group chat from the viewpoint of one participant, in a form that chat templates accept.

The participant (the viewer) is the assistant; everybody else is the user. A user message begins
with the speaker's name, because a chat has only one user and most templates drop `name`. After an
optional system message, the messages alternate, beginning with the user and ending with the
assistant:

- consecutive turns of one side become one message, with a name each time the speaker changes;
- the viewer's turns before anybody else speaks are moved to the system message, or dropped if there
  is none;
- other participants' turns after the viewer's last turn are dropped, since no reply follows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from convogen.corpora.seeds import INQUIRER, RESPONDER
from convogen.exports.base import Item
from convogen.generation.example_experiences import card_text
from convogen.records import Experience, Turn
from convogen.text.speakers import agent_keys

__all__ = ["ASSISTANT", "USER", "Message", "seen_by"]

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a chat.

    `name` is an identifier for the speaker, at most 64 characters of `[a-zA-Z0-9_-]`, or None if
    the message has several speakers. `learn` is true if a model should be trained on the message,
    because it is an assistant message and none of its turns was kept despite a fault
    (`Turn.lapse`).
    """

    role: str
    content: str
    name: str | None = None
    learn: bool = False


def seen_by(
    viewer: str,
    item: Item,
    counts: Counter[str] | None = None,
    *,
    merge: bool = True,
    system: bool = True,
) -> list[Message]:
    """Return a conversation as the messages of a chat in which `viewer` is the assistant.

    A conversation between a person and a chatbot is already a chat, so it gets no names and no
    scene. If `merge` is false, there is one message per turn, and the module's rules do not apply.

    Args:
        counts: Receives `turns_merged`, `turns_moved_to_system`, `turns_dropped`, and
            `perspectives_left_out` if the viewer answers nobody.

    Returns:
        The messages; an empty list if the viewer answers nobody.
    """
    counts = Counter[str]() if counts is None else counts
    found = item.conversation
    names = list(dict.fromkeys([*found.participants, *(turn.speaker for turn in found.turns)]))
    bare = set(names) == {INQUIRER, RESPONDER}
    keys = dict.fromkeys(names) if bare else _identifiers(names)
    scene = _scene(viewer, names, item) if system and not bare else ""
    if not merge:
        chat = [_message([turn], viewer, keys, bare) for turn in found.turns]
        return [*_system(scene), *chat]
    sides = [turn.speaker == viewer for turn in found.turns]
    start = sides.index(False) if False in sides else len(sides)
    end = len(sides) - sides[::-1].index(True) if True in sides else 0
    if start >= end:
        counts["perspectives_left_out"] += 1
        return []
    leading, kept = found.turns[:start], found.turns[start:end]
    chat = [
        _message(list(turns), viewer, keys, bare)
        for _, turns in groupby(kept, lambda turn: turn.speaker == viewer)
    ]
    counts["turns_merged"] += len(kept) - len(chat)
    counts["turns_dropped"] += len(sides) - end
    counts["turns_moved_to_system" if system else "turns_dropped"] += len(leading)
    if leading and system:
        opening = "\n".join(turn.text for turn in leading)
        scene = f"{scene}\nYou have begun the conversation by saying: {opening}".lstrip("\n")
    return [*_system(scene), *chat]


def _system(text: str) -> list[Message]:
    return [Message(SYSTEM, text)] if text else []


def _message(
    turns: Sequence[Turn], viewer: str, keys: Mapping[str, str | None], bare: bool
) -> Message:
    """Return one message that joins consecutive turns by one side."""
    speakers = list(dict.fromkeys(turn.speaker for turn in turns))
    name = keys[speakers[0]] if len(speakers) == 1 else None
    if speakers == [viewer]:
        learn = not any(turn.lapse for turn in turns)
        return Message(ASSISTANT, "\n".join(turn.text for turn in turns), name, learn)
    parts: list[str] = []
    for speaker, said in groupby(turns, lambda turn: turn.speaker):
        text = "\n".join(turn.text for turn in said)
        parts.append(text if bare else f"{speaker}: {text}")
    return Message(USER, "\n".join(parts), name)


def _identifiers(names: Iterable[str]) -> dict[str, str | None]:
    """Return a unique identifier for each name, with at most 64 characters."""
    found: dict[str, str | None] = {}
    for place, (key, name) in enumerate(agent_keys(list(names)).items(), 1):
        short, tail = key[:_LONGEST_NAME], f"_{place}"
        while short in found.values():
            short = key[: _LONGEST_NAME - len(tail)] + tail
            tail = f"_{tail}"
        found[name] = short
    return found


def _scene(viewer: str, names: Sequence[str], item: Item) -> str:
    """Return the text of the system message: the assistant's identity and persona, and the
    scene."""
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
