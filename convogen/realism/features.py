"""What a conversation is described by: named features in four families.

A feature is a number per conversation that a reader can check by eye; its sentence is completed by
the two corpora's means ("turns that end with a question mark: 71%, people's 24%").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convogen.inputs.names import not_known
from convogen.interaction.friction import CUT_OFF
from convogen.interaction.graph import gini_of
from convogen.interaction.patterns import (
    BEHAVIOUR_LABELS,
    OPENER_LABELS,
    Behaviour,
    Opener,
    load_patterns,
)
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

_END = re.compile(r"[.!?…。！？؟।]['\"”’)\]]*\s*\Z")
_QUESTION = re.compile(r"[?？؟]['\"”’)\]]*\s*\Z")
_EXCLAMATION = re.compile("[!！]")
_COMMA = re.compile("[,،、，]")
_DASH = re.compile(r"[—–;:；：]|(?<=\s)-(?=\s)")
_CONTRACTION = re.compile(r"\w['’](?:s|m|re|ve|ll|d|t)\b", re.IGNORECASE)
_FORMATTED = re.compile(r"\n|^\s*(?:[-*•#]|\d+[.)])\s|\*\*|`", re.MULTILINE)

LONG_WORD = 7
"""Letters from which a word is a long one."""

SHORT_TURN = 3
"""Words up to which a turn is short, as backchannels are."""

WINDOW = 50
"""Words over which the type-token ratio is taken, so that length does not change it."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A number per conversation.

    Attributes:
        name: A key, in snake case.
        family: The family it belongs to.
        about: What it is, for a reader.
        unit: `share` (0 to 1) or what it counts.
        value: Computes it.
        marks: Says which turns have it, if that depends on the turns before; None if each turn is
            read by itself.
        by_rules: Whether it is told by rules for some languages only, and 0 in others.
    """

    name: str
    family: Family
    about: str
    unit: str
    value: Callable[[Reading], float]
    marks: Callable[[Reading], Sequence[bool]] | None = None
    by_rules: bool = False


def measure(dialogues: Sequence[Dialogue], features: Sequence[Feature]) -> NDArray[np.float64]:
    """Return the features of dialogues, in an array of shape (dialogues, features)."""
    values = np.zeros((len(dialogues), len(features)))
    for row, dialogue in enumerate(dialogues):
        reading = Reading(dialogue)
        values[row] = [feature.value(reading) for feature in features]
    return values


def turn_marks(
    conversation: Conversation, features: Sequence[Feature]
) -> tuple[frozenset[str], ...]:
    """Return for each turn the names of the features that it has any of; blank turns have none."""
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


def _cased(text: str) -> float:
    letters = [char for char in text if char.isalpha()]
    return sum(char.isupper() for char in letters) / max(1, len(letters))


def _starts_lower(reading: Reading) -> float:
    firsts = [next((char for char in text if char.isalpha()), "") for text in reading.texts]
    return sum(char.islower() for char in firsts) / len(firsts)


def _characters_per_word(reading: Reading) -> float:
    return sum(map(len, reading.all_words)) / max(1, len(reading.all_words))


def _type_token(reading: Reading) -> float:
    tokens = reading.all_words
    if len(tokens) <= WINDOW:
        return len(set(tokens)) / max(1, len(tokens))
    starts = range(0, len(tokens) - WINDOW + 1, WINDOW // 2)
    return float(np.mean([len(set(tokens[at : at + WINDOW])) / WINDOW for at in starts]))


def _share(reading: Reading, holds: Callable[[str], bool]) -> float:
    return sum(map(holds, reading.all_words)) / max(1, len(reading.all_words))


def _once(reading: Reading) -> float:
    counts = Counter(reading.all_words)
    return sum(1 for count in counts.values() if count == 1) / sqrt(max(1, len(reading.all_words)))


def _first_words(reading: Reading) -> float:
    """Return how many different first words turns have, per turn."""
    firsts = [turn[0] for turn in reading.words if turn]
    return len(set(firsts)) / max(1, len(firsts))


def _variation(reading: Reading) -> float:
    mean = float(reading.lengths.mean())
    return float(reading.lengths.std()) / mean if mean else 0.0


def _adjacent(reading: Reading) -> float:
    """Return the mean ratio of the shorter to the longer of two successive turns."""
    ratios = [min(a, b) / max(a, b) for a, b in pairwise(reading.lengths) if max(a, b)]
    return float(np.mean(ratios)) if ratios else 0.0


def _returns(reading: Reading) -> float:
    """Return the share of turns whose speaker also spoke the turn before the last."""
    triples = list(zip(reading.speakers, reading.speakers[1:], reading.speakers[2:], strict=False))
    return sum(a == c != b for a, b, c in triples) / len(triples) if triples else 0.0


def _taken_up(reading: Reading) -> float:
    """Return the mean share of longer words (5+ letters) that the previous turn has too."""
    shares: list[float] = []
    for before, turn in pairwise(reading.words):
        content = {word for word in turn if len(word) >= 5}
        if content:
            shares.append(len(content.intersection(before)) / len(content))
    return float(np.mean(shares)) if shares else 0.0


def _interaction(name: str, reading: Reading) -> float:
    """Return a measure of interaction, 0 if there is none."""
    return reading.measures.get(name) or 0.0


def _behaves(name: Behaviour, reading: Reading) -> list[bool]:
    """Return which turns have a behaviour: none without patterns for the language."""
    turns = reading.interaction.behaviours
    return [name in turn for turn in turns] if turns else []


def _opens(name: Opener, reading: Reading) -> list[bool]:
    turns = reading.interaction.openers
    return [name == turn for turn in turns] if turns else []


def _counter_questions(reading: Reading) -> list[bool]:
    return reading.interaction.counter_questions


def _marked(
    name: str,
    family: Family,
    about: str,
    marks: Callable[[Reading], Sequence[bool]],
    by_rules: bool = True,
) -> Feature:
    """Return the feature whose value is the share of turns with a mark."""

    def value(reading: Reading) -> float:
        return sum(marks(reading)) / len(reading.texts)

    return Feature(name, family, about, "share", value, marks, by_rules)


def _says_names(reading: Reading) -> float:
    """Return the share of turns in which another speaker's name is said."""
    named = 0
    for speaker, text in zip(reading.speakers, reading.texts, strict=True):
        lowered = text.lower()
        others = {other.lower() for other in reading.speakers} - {speaker.lower()}
        parts = {part for other in others for part in other.split() if len(part) > 2}
        named += any(re.search(rf"\b{re.escape(part)}\b", lowered) for part in parts)
    return named / len(reading.texts)


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
        lambda r: r.turns_with(_QUESTION),
    ),
    Feature(
        "ended_turns",
        "surface",
        "turns that end with a full stop or another end of a sentence",
        "share",
        lambda r: r.turns_with(_END),
    ),
    Feature(
        "exclaiming_turns",
        "surface",
        "turns with an exclamation mark",
        "share",
        lambda r: r.turns_with(_EXCLAMATION),
    ),
    Feature(
        "formatted_turns",
        "surface",
        "turns with line breaks, lists or markup",
        "share",
        lambda r: r.turns_with(_FORMATTED),
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
        lambda r: r.per_100_words(len(_COMMA.findall(r.joined))),
    ),
    Feature(
        "dashes",
        "surface",
        "dashes, colons and semicolons per 100 words",
        "marks",
        lambda r: r.per_100_words(len(_DASH.findall(r.joined))),
    ),
    Feature(
        "lower_case_starts", "surface", "turns that begin in lower case", "share", _starts_lower
    ),
    Feature("capitals", "surface", "capitals among letters", "share", lambda r: _cased(r.joined)),
    Feature(
        "type_token_ratio",
        "lexical",
        f"different words among {WINDOW} successive ones",
        "share",
        _type_token,
    ),
    Feature(
        "words_said_once",
        "lexical",
        "words said once, per square root of the words",
        "words",
        _once,
    ),
    Feature("word_length", "lexical", "characters per word", "characters", _characters_per_word),
    Feature(
        "long_words",
        "lexical",
        f"words of {LONG_WORD} letters or more",
        "share",
        lambda r: _share(r, lambda word: len(word) >= LONG_WORD),
    ),
    Feature(
        "contractions",
        "lexical",
        "contractions per 100 words",
        "contractions",
        lambda r: r.per_100_words(len(_CONTRACTION.findall(r.joined))),
    ),
    Feature(
        "numbers",
        "lexical",
        "words with a digit",
        "share",
        lambda r: _share(r, lambda word: any(char.isdigit() for char in word)),
    ),
    Feature("first_words", "lexical", "different first words, per turn", "share", _first_words),
    *(
        _marked(f"{name}_starts", "lexical", about, partial(_opens, name))
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
        "turns that come back to the speaker before last",
        "share",
        _returns,
    ),
    Feature(
        "length_variation",
        "turn_taking",
        "standard deviation of turn lengths over their mean",
        "ratio",
        _variation,
    ),
    Feature(
        "adjacent_lengths",
        "turn_taking",
        "shorter over longer of two successive turns, in words",
        "ratio",
        _adjacent,
    ),
    Feature(
        "short_turns",
        "turn_taking",
        f"turns of {SHORT_TURN} words or fewer",
        "share",
        lambda r: float((r.lengths <= SHORT_TURN).mean()),
    ),
    Feature(
        "taken_up_words",
        "turn_taking",
        "longer words of a turn that the turn before has too",
        "share",
        _taken_up,
    ),
    Feature("names_said", "turn_taking", "turns that say another's name", "share", _says_names),
    *(
        Feature(name, "interaction", about, unit, partial(_interaction, name))
        for name, about, unit in (
            ("named", "turns that call by name whom they are for", "share"),
            ("to_everyone", "turns to everyone", "share"),
            ("to_previous", "turns that reply to the turn just before", "share"),
            ("reciprocity", "turns that are returned, between any two people", "share"),
            ("out_centralisation", "how far one person does all the addressing", "share"),
            ("in_centralisation", "how far all turns are for one person", "share"),
            ("speaker_entropy", "how open it is who speaks next", "share"),
            ("local_coherence", "similarity of a turn and the one it replies to", "cosine"),
            ("global_coherence", "similarity of a turn and all others", "cosine"),
            ("speaker_consistency", "how much more alike one's own turns are", "cosine"),
        )
    ),
    _marked(
        "counter_questions",
        "interaction",
        "turns that answer a question with a question",
        _counter_questions,
        by_rules=False,
    ),
    *(
        _marked(name, "interaction", about, partial(_behaves, name))
        for name, about in BEHAVIOUR_LABELS.items()
    ),
)


def features_named(names: Sequence[str]) -> list[Feature]:
    """Return the features of these names; raises `ValueError` naming those that are meant."""
    known = {feature.name: feature for feature in FEATURES}
    if unknown := next((name for name in names if name not in known), None):
        raise ValueError(not_known("feature", unknown, known))
    return [known[name] for name in names]


def without_rules(features: Sequence[Feature], languages: Iterable[str | None]) -> str | None:
    """Return the name of a feature that is told by rules, if no rules are of any of the languages.

    Args:
        features: The features to be measured.
        languages: Primary subtags, None for an unknown language.
    """
    ruled = next((one.name for one in features if one.by_rules), None)
    known = any(language and load_patterns(language) for language in languages) if ruled else True
    return None if known else ruled
