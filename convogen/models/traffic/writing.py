"""The language in which a task's text is written. Each request for text states the language
once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convogen.models.base import Message
from convogen.text.language_tags import language_label, script_of
from convogen.text.lengths import without_shortest

__all__ = ["WritingLanguage"]

_SHORT = frozenset(("Hans", "Hant", "Jpan", "Khmr", "Kore", "Laoo", "Mymr", "Thai", "Tibt"))
"""Scripts without spaces between words, or in which a single character may be a word."""

_TEXT = (
    "Write in {language}, whatever language anything else here is in. Names you are given, and "
    "marks you are told to write, stay as they are."
)
_OBJECT = (
    "Write every text in the JSON object in {language}, whatever language anything else here is "
    "in; names that you invent are usual among those who speak it, and spelt as they spell them. "
    "The keys, names you are given, and what you choose from a list stay exactly as they are here."
)


@dataclass(frozen=True, slots=True)
class WritingLanguage:
    """A language, given by its BCP 47 `tag`, and the roles that write in it."""

    tag: str
    roles: frozenset[str]

    def schema(self, role: str, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return a request's schema, without minimum lengths if the language's script is in
        `_SHORT`."""
        if role not in self.roles or script_of(self.tag) not in _SHORT:
            return schema
        return without_shortest(schema)

    def ask_for(self, role: str, messages: Sequence[Message], structured: bool) -> list[Message]:
        """Return a request's messages, with the language stated at the end of the system message.

        `structured` says whether a JSON object is requested. Messages to roles that do not write in
        the language are returned unchanged.
        """
        asked = list(messages)
        if role not in self.roles:
            return asked
        said = (_OBJECT if structured else _TEXT).format(language=language_label(self.tag))
        place = next((at for at, one in enumerate(asked) if one.role == "system"), None)
        if place is None:
            return [Message("system", said), *asked]
        asked[place] = Message("system", f"{asked[place].content}\n\n{said}")
        return asked
