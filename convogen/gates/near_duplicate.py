"""Nearly the same words as an earlier accepted conversation.

Two conversations are compared by the words of all their turns, sorted (token-sort similarity, 0 to
1), so that neither case nor punctuation nor the order of turns makes a difference; who speaks is
left out. MinHash over character 4-grams (Broder, 1997) proposes the few earlier conversations that
are compared: those which share most bands with the new one. Two texts whose sets of 4-grams have a
Jaccard index of 0.5 share one with a probability of 0.79, of 0.6 with 0.96, of 0.7 with 0.998.

Of each accepted conversation 100 bytes are held; the texts are read from the run folder again.
"""

from __future__ import annotations

from array import array
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from convogen.files import rows_of_task
from convogen.gates.base import Filter, OrderedGate, Verdict
from convogen.minhash import BANDS, band_keys, sorted_words
from convogen.store import Run
from convogen.types import Conversation

__all__ = ["NearDuplicate"]

_CLIP = 8_000
"""Characters of a conversation that are compared."""

_COMPARED = 20
"""Earlier conversations that each is compared with, at most."""


class NearDuplicate(OrderedGate):
    """Parameters of the gate."""

    name: ClassVar[str] = "near_duplicate"

    threshold: float = Field(
        default=0.9, gt=0, le=1, description="similarity of the words from which it is one"
    )

    def start(self, run: Run) -> Filter:
        return _Earlier(self.threshold, run)


class _Earlier(Filter):
    """The accepted conversations by the keys of their bands."""

    def __init__(self, threshold: float, run: Run) -> None:
        self._threshold = threshold
        self._path = run.folder / "conversations.jsonl"
        self._tasks = array("q")
        self._keys: NDArray[np.uint32] = np.zeros((BANDS, 64), np.uint32)

    def check(self, conversation: Conversation) -> Verdict | None:
        from rapidfuzz import fuzz

        words = _words([turn.text for turn in conversation.turns])
        if not words:
            return None
        best, like = 0.0, ""
        for task in self._alike(words):
            row = next(rows_of_task(self._path, task))
            other = _words([turn["text"] for turn in row["turns"]])
            needed = 100 * max(best, self._threshold)  # what is below it is given up early
            similarity = fuzz.ratio(words, other, score_cutoff=needed - 1e-6) / 100
            if similarity > best:
                best, like = similarity, row["id"]
        if best < self._threshold:
            return None
        return Verdict(f"similarity {best:.3f} to {like}", round(best, 4))

    def _alike(self, words: str) -> list[int]:
        """The tasks whose conversations share most bands, the earlier first among equals."""
        n = len(self._tasks)
        shared = np.zeros(n, np.int8)
        for band, key in zip(self._keys, _keys(words), strict=True):
            shared += band[:n] == key
        found = np.flatnonzero(shared)
        best = found[np.argsort(-shared[found], kind="stable")[:_COMPARED]]
        return [self._tasks[at] for at in best.tolist()]

    def add(self, conversation: Conversation) -> None:
        words = _words([turn.text for turn in conversation.turns])
        if not words or conversation.task is None:
            return
        if len(self._tasks) == self._keys.shape[1]:
            self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)], axis=1)
        self._keys[:, len(self._tasks)] = _keys(words)
        self._tasks.append(conversation.task)


def _words(texts: list[str]) -> str:
    return sorted_words("\n".join(texts)[:_CLIP])


def _keys(words: str) -> NDArray[np.uint32]:
    return band_keys([words])[0].astype(np.uint32)
