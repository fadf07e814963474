"""The complete analysis of a conversation: addresses, graph, coherence, friction, and measures
derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from convogen.interaction.addressing import Address, infer
from convogen.interaction.coherence import Coherence, coherence
from convogen.interaction.friction import friction
from convogen.interaction.graph import Graph, gini_of, graph_of, speaker_entropy
from convogen.interaction.patterns import Behaviour, Opener, load_patterns
from convogen.interaction.utterances import CLIP, Utterance, only_asks, read
from convogen.text.checks import checked_as
from convogen.text.identify import frequent_words, identify
from convogen.text.segmentation import primary, unspaced_language, words

__all__ = ["MEASURES", "Interaction", "analyse"]

MEASURES: dict[str, str] = {
    "named": "Turns that name whom they address",
    "to_everyone": "Turns to everyone",
    "to_previous": "Turns that reply to the previous turn",
    "counter_questions": "Turns that answer a question with a question",
    "degree": "People addressed per person",
    "density": "Density",
    "reciprocity": "Reciprocity",
    "out_centralisation": "Centralisation, addressing",
    "in_centralisation": "Centralisation, addressed",
    "speaker_entropy": "Speaker-change entropy",
    "turn_gini": "Gini coefficient of turns",
    "local_coherence": "Local coherence",
    "global_coherence": "Global coherence",
    "speaker_consistency": "Speaker consistency",
}
"""Maps each measure of a conversation to its label for readers."""

MOST_TURNS = 2_000
"""Maximum number of turns in a conversation that are analysed."""


@dataclass(frozen=True)
class Interaction:
    """The analysis of a conversation.

    Attributes:
        people: The participants, including those who never speak.
        speakers: The speaker of each turn.
        addresses: The address of each turn.
        asks: Whether each turn contains a question.
        only_asks: Whether each turn consists only of questions.
        behaviours: The behaviours in each turn; None if there are no patterns for the language.
        openers: The opener of each turn, if any; None if there are no patterns for the language.
        language: The primary subtag of the patterns' language; None if there are no patterns.
    """

    people: tuple[str, ...]
    speakers: tuple[str, ...]
    addresses: list[Address]
    asks: tuple[bool, ...]
    only_asks: tuple[bool, ...]
    behaviours: list[frozenset[Behaviour]] | None
    openers: list[Opener | None] | None
    language: str | None
    _content: list[Sequence[str]]

    @cached_property
    def graph(self) -> Graph:
        return graph_of(self.speakers, self.addresses, self.people)

    @cached_property
    def coherence(self) -> Coherence:
        return coherence(self.speakers, self._content, self.addresses)

    @cached_property
    def counter_questions(self) -> list[bool]:
        """Whether each turn consists only of questions and replies to a question that its speaker
        was asked."""
        return [
            only_asks and one.reply_to is not None and self._is_asked(speaker, one.reply_to)
            for speaker, only_asks, one in zip(
                self.speakers, self.only_asks, self.addresses, strict=True
            )
        ]

    def _is_asked(self, speaker: str, reply_to: int) -> bool:
        return self.asks[reply_to] and speaker in self.addresses[reply_to].to

    def measures(self) -> dict[str, float | None]:
        """Return the values of `MEASURES`, with None for measures without a value.

        Measures that vary only in groups have no value if there are fewer than three people.
        """
        n, group = len(self.speakers), len(self.people) > 2
        found = self.addresses
        named = sum(one.evidence == "named" for one in found)
        previous = sum(one.reply_to == at - 1 for at, one in enumerate(found) if at)
        graph = self.graph
        return {
            "named": named / n if n else None,
            "to_everyone": graph.to_everyone / n if group and n else None,
            "to_previous": previous / (n - 1) if group and n > 1 else None,
            "counter_questions": sum(self.counter_questions) / n if n else None,
            "degree": graph.degree if group else None,
            "density": graph.density if group else None,
            "reciprocity": graph.reciprocity if group else None,
            "out_centralisation": graph.out_centralisation if group else None,
            "in_centralisation": graph.in_centralisation if group else None,
            "speaker_entropy": speaker_entropy(self.speakers),
            "turn_gini": gini_of(self.speakers) if len(set(self.speakers)) > 1 else None,
            "local_coherence": self.coherence.local,
            "global_coherence": self.coherence.overall,
            "speaker_consistency": self.coherence.consistency,
        }


def analyse(
    speakers: Sequence[str],
    texts: Sequence[str],
    participants: Sequence[str] = (),
    *,
    stated: Sequence[str | None] = (),
    language: str | None = None,
) -> Interaction:
    """Return the analysis of the first 2,000 turns of a conversation.

    Args:
        speakers: The speaker of each turn.
        texts: The text of each turn, of which the first 2,000 characters are used.
        participants: The participants, including those who never speak.
        stated: The addressee of each turn as stated by its author, or None; empty if no addressees
            are stated.
        language: The BCP 47 tag of the conversation's language; detected if None.
    """
    speakers, texts = tuple(speakers[:MOST_TURNS]), list(texts[:MOST_TURNS])
    people = tuple(dict.fromkeys([*participants, *speakers]))
    code = primary(language) if language else identify(texts)
    patterns = load_patterns(code) if code else None
    said = [read(text) for text in texts]
    called_as = checked_as(code, texts)
    found = infer(speakers, said, people, stated=stated, patterns=patterns, language=called_as)
    return Interaction(
        people,
        speakers,
        found,
        tuple(one.asks for one in said),
        tuple(only_asks(one) for one in said),
        friction(speakers, said, found, patterns) if patterns else None,
        [patterns.opener(one) for one in said] if patterns else None,
        patterns.language if patterns else None,
        _content(said, code),
    )


def _content(said: Sequence[Utterance], language: str | None) -> list[Sequence[str]]:
    """Return the content words of each turn, or all words in scripts without spaces.

    Scripts without spaces need a segmenter; without one, there are no words.
    """
    if language is not None and unspaced_language(language):
        return [[word.lower() for word in words(one.text[:CLIP], language) or ()] for one in said]
    known = frequent_words(language)
    return [[word for word in one.tokens if word.partition("'")[0] not in known] for one in said]
