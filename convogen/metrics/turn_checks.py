"""Counts of turns that were requested again, tidied or kept despite a fault, by kind of fault.

The counts come from a run's records; human corpora have no such records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from convogen.records import PROPER_ENDS, Conversation

__all__ = ["CheckCounts", "TurnChecks"]


def _counter() -> Counter[str]:
    return Counter()


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """Counts for each kind of fault, the most frequent kind first.

    Attributes:
        asked_again: Number of rejected replies.
        tidied: Number of replies from which something was removed.
        taken_with: Number of turns kept despite a fault.
        broken_off: Number of conversations that ended early because of a fault.
    """

    asked_again: dict[str, int]
    tidied: dict[str, int]
    taken_with: dict[str, int]
    broken_off: dict[str, int]


@dataclass(slots=True)
class TurnChecks:
    """Mergeable counters, from which `CheckCounts` is created."""

    asked_again: Counter[str] = field(default_factory=_counter)
    tidied: Counter[str] = field(default_factory=_counter)
    taken_with: Counter[str] = field(default_factory=_counter)
    broken_off: Counter[str] = field(default_factory=_counter)

    def add(self, conversation: Conversation) -> None:
        """Count the faults of a conversation."""
        self.asked_again.update(conversation.refused[:-1])  # the last refusal is in `ended`
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

    def counts(self) -> CheckCounts:
        """Return the counts so far."""
        return CheckCounts(
            dict(self.asked_again.most_common()),
            dict(self.tidied.most_common()),
            dict(self.taken_with.most_common()),
            dict(self.broken_off.most_common()),
        )
