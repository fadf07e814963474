"""The shapes of conversations: the number of turns, and the word count and speaker of each turn.

A shape that is drawn at random is the shape of one whole conversation. This preserves correlations,
for example between long openings and short replies. If features are requested (for example, that a
turn ends with a question or begins in lower case), a shape also records which of the features each
turn has.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from convogen.records import Conversation
from convogen.text.budgets import about_words
from convogen.text.identify import language_of

__all__ = ["Shape", "Shapes"]

MARKS = 32
"""Maximum number of features that can mark turns."""

MOST = 65_535
"""Upper limit for the number of words per turn and for the number of speakers per conversation."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A conversation without its text: the word count (at least 1), speaker and marks of each turn.

    Words are counted by the rules of the conversation's language, or estimated if convogen has no
    rules for the language. Speakers are numbered from 0 in the order in which they first speak. The
    marks of a turn are the requested features whose value in the turn is above 0.
    """

    turn_words: tuple[int, ...]
    speakers: tuple[int, ...]
    marks: tuple[frozenset[str], ...] = ()

    @property
    def n_speakers(self) -> int:
        """The number of different speakers."""
        return len(set(self.speakers))


class Shapes:
    """The shapes of a corpus, from which shapes are drawn at random.

    Each turn takes four bytes of memory, or eight bytes with marks.

    `hash` identifies the shapes and their order. `features` are the features that mark turns, of
    which there are at most `MARKS`. `languages` are the primary subtags of the corpus's languages,
    with None for an unknown language.
    """

    languages: frozenset[str | None] = frozenset()

    def __init__(self, shapes: Iterable[Shape], features: Sequence[str] = ()) -> None:
        self._features = tuple(features)
        self._marks = array("I")
        self._words = array("H")
        self._speakers = array("H")
        self._ends = array("Q", [0])
        digest = hashlib.blake2b(digest_size=8)
        for shape in shapes:
            self._words.extend(shape.turn_words)
            self._speakers.extend(shape.speakers)
            self._ends.append(len(self._words))
            digest.update(f"{shape.turn_words}{shape.speakers}".encode())
            if self._features:
                bits = [self._packed(marks) for marks in shape.marks]
                self._marks.extend(bits)
                digest.update(f"{self._features}{bits}".encode())
        self.hash = digest.hexdigest()

    @classmethod
    def from_corpus(
        cls, conversations: Iterable[Conversation], features: Sequence[str] = ()
    ) -> Shapes:
        """Return the shapes of all conversations that have turns, in the order of the
        conversations."""
        languages = set[str | None]()

        def read() -> Iterator[Shape]:
            for one in conversations:
                if one.turns:
                    languages.add(language := language_of(one))
                    yield _shape(one, features, language)

        shapes = cls(read(), features)
        shapes.languages = frozenset(languages)
        return shapes

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Shape:
        if not 0 <= index < len(self):
            raise IndexError(f"shape index {index} is out of range (number of shapes: {len(self)})")
        turns = slice(self._ends[index], self._ends[index + 1])
        marks = tuple(self._unpacked(bits) for bits in self._marks[turns])
        return Shape(tuple(self._words[turns]), tuple(self._speakers[turns]), marks)

    def _packed(self, marks: frozenset[str]) -> int:
        return sum(1 << bit for bit, name in enumerate(self._features) if name in marks)

    def _unpacked(self, bits: int) -> frozenset[str]:
        return frozenset(name for bit, name in enumerate(self._features) if bits >> bit & 1)

    def draw(self, rng: random.Random) -> Shape:
        """Return a shape drawn uniformly at random; raises `IndexError` if there are no shapes."""
        return self[rng.randrange(len(self))] if len(self) else self[0]


def _shape(conversation: Conversation, features: Sequence[str], language: str | None) -> Shape:
    numbers: dict[str, int] = {}
    counts = (about_words(turn.text, language) for turn in conversation.turns)
    for turn in conversation.turns:
        numbers.setdefault(turn.speaker, min(len(numbers), MOST))
    return Shape(
        tuple(min(max(1, count), MOST) for count in counts),
        tuple(numbers[turn.speaker] for turn in conversation.turns),
        _marks(conversation, features) if features else (),
    )


def _marks(conversation: Conversation, features: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Return, for each turn, the features that mark the turn."""
    from convogen.realism.features import features_named, turn_marks

    return turn_marks(conversation, features_named(features))
