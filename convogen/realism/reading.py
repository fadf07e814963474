"""A conversation with the data that several features need: words, sentences and interaction."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convogen.interaction.analysis import Interaction, analyse
from convogen.realism.samples import Dialogue
from convogen.text.segmentation import sentences, words

__all__ = ["Reading"]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Reading:
    """The turns of a conversation, with the data that several features need."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.texts = dialogue.texts
        self.speakers = [speaker for speaker, _ in dialogue.turns]
        self.words = [
            [word.lower() for word in _words(text, dialogue.language)] for text in self.texts
        ]
        self.all_words = [word for turn in self.words for word in turn]
        self.joined = " ".join(self.texts)
        self._language = dialogue.language

    @cached_property
    def interaction(self) -> Interaction:
        return analyse(self.speakers, self.texts, language=self._language)

    @cached_property
    def measures(self) -> dict[str, float | None]:
        """The interaction measures of the conversation."""
        return self.interaction.measures()

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        return np.array([len(turn) for turn in self.words], dtype=float)

    @cached_property
    def sentence_count(self) -> int:
        return sum(len(sentences(text, self._language)) for text in self.texts)

    @cached_property
    def turn_counts(self) -> list[int]:
        return list(Counter(self.speakers).values())

    def turns_with(self, pattern: re.Pattern[str]) -> float:
        return sum(1 for text in self.texts if pattern.search(text)) / len(self.texts)

    def per_100_words(self, count: int) -> float:
        return 100 * count / max(1, len(self.all_words))


def _words(text: str, language: str | None) -> list[str]:
    """Return the words of a text without punctuation, or its letters and digits if the language has
    no segmenter."""
    found = words(text, language)
    if found is None:
        return [char for char in text if char.isalnum()]
    return [match[0] for word in found for match in _WORD.finditer(word)]
