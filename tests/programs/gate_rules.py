"""Custom rules for the tests of gates."""

from __future__ import annotations

import random

from convogen.records import Conversation, Experience


def most(conversation: Conversation) -> str | None:
    """Reject 60% of the conversations, drawn by their ids."""
    return "drawn" if random.Random(conversation.id).random() < 0.6 else None


def none_of_them(conversation: Conversation) -> str:
    return f"{len(conversation.turns)} turns"


def all_of_them(conversation: Conversation, experience: Experience) -> str:
    return f"about {experience.topic}"


def broken(conversation: Conversation) -> None:
    raise KeyError(conversation.id)


def wrong(conversation: Conversation) -> bool:
    return True


def at_length(conversation: Conversation) -> str:
    return "no\n  way \t" * 200


def any_number(*all_of_it: object) -> str:
    """Return the number of arguments; a rule without named parameters should receive none."""
    return "c-7" if not all_of_it else f"{len(all_of_it)}"


def by_keyword(conversation: Conversation, *, strict: bool = False) -> str:
    return conversation.id


class _Instance:
    def __call__(self, conversation: Conversation) -> str:
        return conversation.id


instance = _Instance()
