"""The scene of a conversation as text, for human readers of the turns."""

from __future__ import annotations

from collections.abc import Iterator

from convogen.exports.base import Item
from convogen.generation.example_experiences import card_text

__all__ = ["scene_parts", "scene_text"]


def scene_parts(item: Item) -> list[tuple[str, str]]:
    """Return pairs of title and text for the topic, situation and relations, and then for each
    persona.

    If there is no experience, the pairs are the string labels in the conversation's context.
    """
    return [(title, text) for title, text in _parts(item) if title and text]


def scene_text(item: Item) -> str:
    """Return the scene as one string, one paragraph per part; empty if nothing is known."""
    return "\n\n".join(_paragraph(*part) for part in scene_parts(item))


def _paragraph(title: str, text: str) -> str:
    return f"{title}:\n{text}" if "\n" in text else f"{title}: {text}"


def _parts(item: Item) -> Iterator[tuple[str, str]]:
    known = item.experience
    if known is None:
        for label, value in item.conversation.context.items():
            if isinstance(value, str):
                yield label.replace("_", " ").capitalize(), value
        return
    yield "Topic", known.topic
    yield "Situation", known.situation
    yield "Relations", known.relations
    for person in known.personas:
        yield person.name, card_text(person)
