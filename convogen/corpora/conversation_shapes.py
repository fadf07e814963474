"""The shapes of conversations: the number of turns, and the words and speaker of each.

Each drawn shape is that of one whole conversation of the corpus, so that correlations are kept
(long openings with short replies, many turns with few words).
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from convogen.records import Conversation
from convogen.text.budgets import about_words
from convogen.text.identify import language_of

__all__ = ["Shape", "Shapes"]

MOST = 65_535
"""Words of a turn, and speakers of a conversation, are counted up to this."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A conversation without its text: for each turn its words (1 or more) and its speaker.

    Words are those of the conversation's language, estimated if there is no rule for it. Speakers
    are numbered from 0 in the order in which they first speak.
    """

    turn_words: tuple[int, ...]
    speakers: tuple[int, ...]

    @property
    def n_speakers(self) -> int:
        """How many different people speak."""
        return len(set(self.speakers))


class Shapes:
    """The shapes of a corpus, to draw from; they take four bytes per turn.

    `hash` identifies them all and their order.
    """

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._words = array("H")
        self._speakers = array("H")
        self._ends = array("Q", [0])
        digest = hashlib.blake2b(digest_size=8)
        for shape in shapes:
            self._words.extend(shape.turn_words)
            self._speakers.extend(shape.speakers)
            self._ends.append(len(self._words))
            digest.update(f"{shape.turn_words}{shape.speakers}".encode())
        self.hash = digest.hexdigest()

    @classmethod
    def from_corpus(cls, conversations: Iterable[Conversation]) -> Shapes:
        """Return the shapes of all conversations that have a turn, in their order."""
        return cls(_shape(one) for one in conversations if one.turns)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Shape:
        if not 0 <= index < len(self):
            raise IndexError(f"shape {index} of {len(self)}")
        turns = slice(self._ends[index], self._ends[index + 1])
        return Shape(tuple(self._words[turns]), tuple(self._speakers[turns]))

    def draw(self, rng: random.Random) -> Shape:
        """Return one of them, uniformly at random; raises `IndexError` if there is none."""
        return self[rng.randrange(len(self))] if len(self) else self[0]


def _shape(conversation: Conversation) -> Shape:
    numbers: dict[str, int] = {}
    language = language_of(conversation)
    counts = (about_words(turn.text, language) for turn in conversation.turns)
    for turn in conversation.turns:
        numbers.setdefault(turn.speaker, min(len(numbers), MOST))
    return Shape(
        tuple(min(max(1, count), MOST) for count in counts),
        tuple(numbers[turn.speaker] for turn in conversation.turns),
    )
