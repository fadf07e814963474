"""The share of a conversation's text that is in its stated language."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from convogen.records import Conversation
from convogen.text.identify import identify
from convogen.text.turn_language import can_tell, turns_in_language

__all__ = ["MEASURED", "StatedLanguage", "StatedLanguages"]

MEASURED = 2_000
"""Maximum number of conversations analysed, counted from the start of the corpus."""


def _counter() -> Counter[str]:
    return Counter()


@dataclass(frozen=True, slots=True)
class StatedLanguage:
    """Counts of conversations that state a certain language, and of their turns in that language.

    `found` contains the number of conversations for each detected language (primary BCP 47 subtag,
    `und` if undecided). `turns` counts the turns with at least five words, and `in_language` counts
    the turns among them that are in the stated language. `share` is `in_language` divided by
    `turns`; None if the language cannot be detected or `turns` is 0.
    """

    conversations: int
    found: dict[str, int]
    turns: int
    in_language: int
    share: float | None


@dataclass(slots=True)
class StatedLanguages:
    """Counts of conversations and turns for each stated language (a BCP 47 tag)."""

    conversations: Counter[str] = field(default_factory=_counter)
    found: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    turns: Counter[str] = field(default_factory=_counter)
    in_language: Counter[str] = field(default_factory=_counter)

    def add(self, conversation: Conversation) -> None:
        """Count a conversation if it states a language."""
        if (tag := conversation.language) is None:
            return
        self.conversations[tag] += 1
        found = identify(turn.text for turn in conversation.turns) or "und"
        self.found.setdefault(tag, Counter())[found] += 1
        if can_tell(tag) is None:
            told = turns_in_language([turn.text for turn in conversation.turns], tag)
            self.turns[tag] += sum(fits is not None for fits in told)
            self.in_language[tag] += sum(fits is True for fits in told)

    def merge(self, other: StatedLanguages) -> None:
        """Add the counts of another batch."""
        for name in ("conversations", "turns", "in_language"):
            getattr(self, name).update(getattr(other, name))
        for tag, found in other.found.items():
            self.found.setdefault(tag, Counter()).update(found)

    def by_tag(self) -> dict[str, StatedLanguage]:
        """Return the counts for each tag, the most frequent tag first."""
        return {
            tag: StatedLanguage(
                n,
                dict(self.found[tag].most_common()),
                self.turns[tag],
                self.in_language[tag],
                self.in_language[tag] / self.turns[tag] if self.turns[tag] else None,
            )
            for tag, n in self.conversations.most_common()
        }
