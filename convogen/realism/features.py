"""The named features of conversations, in four families.

A feature is a number per conversation that a reader can check by eye. Its description is shown with
the means of both corpora ("turns that end with a question mark: 71%, people's 24%").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convogen.inputs.names import not_known
from convogen.interaction.friction import CUT_OFF
from convogen.interaction.graph import gini_of
from convogen.interaction.patterns import (
    BEHAVIOUR_LABELS,
    OPENER_LABELS,
    load_patterns,
)
from convogen.realism import feature_values as values
from convogen.realism.reading import Reading
from convogen.realism.samples import Dialogue, dialogue_of, single_turns
from convogen.records import Conversation

__all__ = [
    "FAMILIES",
    "FEATURES",
    "Family",
    "Feature",
    "features_named",
    "measure",
    "turn_marks",
    "without_rules",
]

Family = Literal["surface", "lexical", "turn_taking", "interaction"]
FAMILIES: tuple[Family, ...] = ("surface", "lexical", "turn_taking", "interaction")


@dataclass(frozen=True, slots=True)
class Feature:
    """A number per conversation.

    Attributes:
        name: The key of the feature, in snake case.
        family: The family of the feature.
        about: A description for readers.
        unit: `share` (0 to 1), or the unit of the number.
        value: Function that computes the feature.
        marks: Function that returns which turns have the feature, if that depends on earlier turns;
            None if each turn is evaluated on its own.
        by_rules: Whether the feature is detected by rules, which exist only for some languages; in
            other languages, its value is 0.
    """

    name: str
    family: Family
    about: str
    unit: str
    value: Callable[[Reading], float]
    marks: Callable[[Reading], Sequence[bool]] | None = None
    by_rules: bool = False


def measure(dialogues: Sequence[Dialogue], features: Sequence[Feature]) -> NDArray[np.float64]:
    """Return the features of dialogues as an array of shape (dialogues, features)."""
    measured = np.zeros((len(dialogues), len(features)))
    for row, dialogue in enumerate(dialogues):
        reading = Reading(dialogue)
        measured[row] = [feature.value(reading) for feature in features]
    return measured


def turn_marks(
    conversation: Conversation, features: Sequence[Feature]
) -> tuple[frozenset[str], ...]:
    """Return, for each turn, the names of the features with values above 0; blank turns have no
    features."""
    alone = [one for one in features if one.marks is None]
    found = [
        {one.name for one, value in zip(alone, row, strict=True) if value > 0}
        for row in measure(single_turns(conversation), alone)
    ]
    dialogue = dialogue_of(conversation)
    if dialogue is not None and len(alone) < len(features):
        reading = Reading(dialogue)
        spoken = [at for at, turn in enumerate(conversation.turns) if turn.text.strip()]
        for one in features:
            for at, holds in zip(spoken, one.marks(reading) if one.marks else (), strict=False):
                if holds:
                    found[at].add(one.name)
    return tuple(map(frozenset, found))


def _marked(
    name: str,
    family: Family,
    about: str,
    marks: Callable[[Reading], Sequence[bool]],
    by_rules: bool = True,
) -> Feature:
    """Return a feature whose value is the share of turns that `marks` marks."""

    def value(reading: Reading) -> float:
        return sum(marks(reading)) / len(reading.texts)

    return Feature(name, family, about, "share", value, marks, by_rules)


FEATURES: tuple[Feature, ...] = (
    Feature(
        "words_per_turn", "surface", "words per turn", "words", lambda r: float(r.lengths.mean())
    ),
    Feature(
        "sentences_per_turn",
        "surface",
        "sentences per turn",
        "sentences",
        lambda r: r.sentence_count / len(r.texts),
    ),
    Feature(
        "question_turns",
        "surface",
        "turns that end with a question mark",
        "share",
        lambda r: r.turns_with(values.QUESTION),
    ),
    Feature(
        "ended_turns",
        "surface",
        "turns that end with a full stop or another sentence-final mark",
        "share",
        lambda r: r.turns_with(values.END),
    ),
    Feature(
        "exclaiming_turns",
        "surface",
        "turns with an exclamation mark",
        "share",
        lambda r: r.turns_with(values.EXCLAMATION),
    ),
    Feature(
        "formatted_turns",
        "surface",
        "turns with line breaks, lists or markup",
        "share",
        lambda r: r.turns_with(values.FORMATTED),
    ),
    Feature(
        "cut_off_turns",
        "surface",
        "turns that break off with a dash",
        "share",
        lambda r: r.turns_with(CUT_OFF),
    ),
    Feature(
        "commas",
        "surface",
        "commas per 100 words",
        "commas",
        lambda r: r.per_100_words(len(values.COMMA.findall(r.joined))),
    ),
    Feature(
        "dashes",
        "surface",
        "dashes, colons and semicolons per 100 words",
        "marks",
        lambda r: r.per_100_words(len(values.DASH.findall(r.joined))),
    ),
    Feature(
        "lower_case_starts",
        "surface",
        "turns that begin in lower case",
        "share",
        values.starts_lower,
    ),
    Feature(
        "capitals", "surface", "capitals among letters", "share", lambda r: values.cased(r.joined)
    ),
    Feature(
        "type_token_ratio",
        "lexical",
        f"distinct words among {values.WINDOW} successive words",
        "share",
        values.type_token,
    ),
    Feature(
        "words_said_once",
        "lexical",
        "words that occur once, per square root of the number of words",
        "words",
        values.once,
    ),
    Feature(
        "word_length", "lexical", "characters per word", "characters", values.characters_per_word
    ),
    Feature(
        "long_words",
        "lexical",
        f"words of {values.LONG_WORD} or more letters",
        "share",
        lambda r: values.share(r, lambda word: len(word) >= values.LONG_WORD),
    ),
    Feature(
        "contractions",
        "lexical",
        "contractions per 100 words",
        "contractions",
        lambda r: r.per_100_words(len(values.CONTRACTION.findall(r.joined))),
    ),
    Feature(
        "numbers",
        "lexical",
        "words with a digit",
        "share",
        lambda r: values.share(r, lambda word: any(char.isdigit() for char in word)),
    ),
    Feature("first_words", "lexical", "distinct first words per turn", "share", values.first_words),
    *(
        _marked(f"{name}_starts", "lexical", about, partial(values.opens, name))
        for name, about in OPENER_LABELS.items()
    ),
    Feature("turns", "turn_taking", "turns per conversation", "turns", lambda r: len(r.texts)),
    Feature(
        "speakers",
        "turn_taking",
        "speakers per conversation",
        "speakers",
        lambda r: len(r.turn_counts),
    ),
    Feature(
        "unequal_shares",
        "turn_taking",
        "Gini coefficient of the speakers' turns",
        "Gini",
        lambda r: gini_of(r.speakers),
    ),
    Feature(
        "returns",
        "turn_taking",
        "turns that return to the speaker before last",
        "share",
        values.returns,
    ),
    Feature(
        "length_variation",
        "turn_taking",
        "standard deviation of turn lengths, divided by their mean",
        "ratio",
        values.variation,
    ),
    Feature(
        "adjacent_lengths",
        "turn_taking",
        "ratio of the shorter to the longer of two successive turns, in words",
        "ratio",
        values.adjacent,
    ),
    Feature(
        "short_turns",
        "turn_taking",
        f"turns of {values.SHORT_TURN} words or fewer",
        "share",
        lambda r: float((r.lengths <= values.SHORT_TURN).mean()),
    ),
    Feature(
        "taken_up_words",
        "turn_taking",
        "longer words of a turn that also occur in the previous turn",
        "share",
        values.taken_up,
    ),
    Feature(
        "names_said",
        "turn_taking",
        "turns that contain another speaker's name",
        "share",
        values.says_names,
    ),
    *(
        Feature(name, "interaction", about, unit, partial(values.interaction, name))
        for name, about, unit in (
            ("named", "turns that name their addressee", "share"),
            ("to_everyone", "turns to everyone", "share"),
            ("to_previous", "turns that reply to the previous turn", "share"),
            ("reciprocity", "turns between two people that are reciprocated", "share"),
            ("out_centralisation", "degree to which one person does all the addressing", "share"),
            ("in_centralisation", "degree to which all turns address one person", "share"),
            ("speaker_entropy", "unpredictability of the next speaker", "share"),
            ("local_coherence", "similarity of a turn to the turn that it replies to", "cosine"),
            ("global_coherence", "similarity of a turn to all other turns", "cosine"),
            (
                "speaker_consistency",
                "similarity of a speaker's own turns, minus that to others' turns",
                "cosine",
            ),
        )
    ),
    _marked(
        "counter_questions",
        "interaction",
        "turns that answer a question with a question",
        values.counter_questions,
        by_rules=False,
    ),
    *(
        _marked(name, "interaction", about, partial(values.behaves, name))
        for name, about in BEHAVIOUR_LABELS.items()
    ),
)


def features_named(names: Sequence[str]) -> list[Feature]:
    """Return the features with the given names.

    Raises `ValueError`, which lists the allowed names, if a name is unknown.
    """
    known = {feature.name: feature for feature in FEATURES}
    if unknown := next((name for name in names if name not in known), None):
        raise ValueError(not_known("feature", unknown, known))
    return [known[name] for name in names]


def without_rules(features: Sequence[Feature], languages: Iterable[str | None]) -> str | None:
    """Return the name of a feature that is detected by rules if none of the languages has rules;
    otherwise, return None.

    Args:
        features: The features to be measured.
        languages: Primary subtags; None for an unknown language.
    """
    ruled = next((one.name for one in features if one.by_rules), None)
    known = any(language and load_patterns(language) for language in languages) if ruled else True
    return None if known else ruled
