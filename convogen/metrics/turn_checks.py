"""How often turns were asked for again, tidied or taken with a fault, by kind.

Counted over the records of a run: a corpus of people's dialogues has none of these.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from convogen.records import PROPER_ENDS, Conversation

__all__ = ["TurnChecks"]


def _counter() -> Counter[str]:
    return Counter()


@dataclass(slots=True)
class TurnChecks:
    """Counts by kind of fault: replies not taken (`asked_again`), replies tidied, turns taken in
    spite of a fault (`taken_with`), and conversations that a fault broke off (`broken_off`)."""

    asked_again: Counter[str] = field(default_factory=_counter)
    tidied: Counter[str] = field(default_factory=_counter)
    taken_with: Counter[str] = field(default_factory=_counter)
    broken_off: Counter[str] = field(default_factory=_counter)

    def add(self, conversation: Conversation) -> None:
        """Count one conversation."""
        self.asked_again.update(conversation.refused[:-1])  # the last one is in `ended`
        for turn in conversation.turns:
            self.asked_again.update(turn.reasks)
            self.tidied.update(turn.tidied)
            if turn.lapse:
                self.taken_with[turn.lapse] += 1
        if conversation.ended and conversation.ended not in PROPER_ENDS:
            self.broken_off[conversation.ended] += 1

    def merge(self, other: TurnChecks) -> None:
        """Add the counts of another batch."""
        for name in ("asked_again", "tidied", "taken_with", "broken_off"):
            getattr(self, name).update(getattr(other, name))

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Return the counts as plain values, the most frequent kind first."""
        names = ("asked_again", "tidied", "taken_with", "broken_off")
        return {name: dict(getattr(self, name).most_common()) for name in names}
