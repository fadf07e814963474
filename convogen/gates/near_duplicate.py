"""Rejects conversations with nearly the same words as an earlier accepted conversation.

Two conversations are compared by the sorted words of all their turns (token-sort similarity, 0 to
1), so case, punctuation and the order of turns do not matter. Speakers are ignored. MinHash over
character 4-grams (Broder, 1997) selects the few earlier conversations with which a conversation is
compared; for the recall, see `NearCopyIndex`.

Only 72 bytes per accepted conversation are kept in memory. Texts are read from the run folder when
they are needed.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from convogen.gates.base import Filter, OrderedGate, Rejection
from convogen.jsonl import rows_of_task
from convogen.records import Conversation
from convogen.storage.run_folder import Run
from convogen.text.near_duplicates import NearCopyIndex, sorted_words

__all__ = ["NearDuplicate"]

_CLIP = 8_000
"""Maximum number of characters of a conversation that are compared."""

_COMPARED = 20
"""Maximum number of earlier conversations with which a conversation is compared."""


class NearDuplicate(OrderedGate):
    """Parameters of the `near_duplicate` gate."""

    name: ClassVar[str] = "near_duplicate"

    threshold: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="word similarity (0 to 1) to an earlier accepted conversation at or above "
        "which a conversation is rejected",
    )

    def start(self, run: Run) -> Filter:
        return _Earlier(self.threshold, run)


class _Earlier(Filter):
    """An index of the accepted conversations."""

    def __init__(self, threshold: float, run: Run) -> None:
        self._threshold = threshold
        self._path = run.folder / "conversations.jsonl"
        self._index = NearCopyIndex(threshold)

    def check(self, conversation: Conversation) -> Rejection | None:
        from rapidfuzz import fuzz

        words = _words([turn.text for turn in conversation.turns])
        if not words:
            return None
        best, like = 0.0, ""
        for task in self._index.candidates(words, _COMPARED):
            row = next(rows_of_task(self._path, task))
            other = _words([turn["text"] for turn in row["turns"]])
            needed = 100 * max(best, self._threshold)  # lower scores are abandoned early
            similarity = fuzz.ratio(words, other, score_cutoff=needed - 1e-6) / 100
            if similarity > best:
                best, like = similarity, row["id"]
        if best < self._threshold:
            return None
        return Rejection(f"similarity {best:.3f} to {like}", round(best, 4))

    def add(self, conversation: Conversation) -> None:
        words = _words([turn.text for turn in conversation.turns])
        if words and conversation.task is not None:
            self._index.add(conversation.task, words)


def _words(texts: list[str]) -> str:
    return sorted_words("\n".join(texts)[:_CLIP])
