"""Functions that compute the features in `convogen.realism.features`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import sqrt

import numpy as np

from convogen.interaction.patterns import Behaviour, Opener
from convogen.realism.reading import Reading

__all__ = [
    "COMMA",
    "CONTRACTION",
    "DASH",
    "END",
    "EXCLAMATION",
    "FORMATTED",
    "LONG_WORD",
    "QUESTION",
    "SHORT_TURN",
    "WINDOW",
    "adjacent",
    "behaves",
    "cased",
    "characters_per_word",
    "counter_questions",
    "first_words",
    "interaction",
    "once",
    "opens",
    "returns",
    "says_names",
    "share",
    "starts_lower",
    "taken_up",
    "type_token",
    "variation",
]

END = re.compile(r"[.!?…。！？؟।]['\"”’)\]]*\s*\Z")
QUESTION = re.compile(r"[?？؟]['\"”’)\]]*\s*\Z")
EXCLAMATION = re.compile("[!！]")
COMMA = re.compile("[,،、，]")
DASH = re.compile(r"[—–;:；：]|(?<=\s)-(?=\s)")
CONTRACTION = re.compile(r"\w['’](?:s|m|re|ve|ll|d|t)\b", re.IGNORECASE)
FORMATTED = re.compile(r"\n|^\s*(?:[-*•#]|\d+[.)])\s|\*\*|`", re.MULTILINE)

LONG_WORD = 7
"""Minimum length of a long word, in letters."""

SHORT_TURN = 3
"""Maximum length of a short turn, such as a backchannel, in words."""

WINDOW = 50
"""Number of words over which each type-token ratio is computed, so that the ratio does not depend
on the length of the text."""


def cased(text: str) -> float:
    letters = [char for char in text if char.isalpha()]
    return sum(char.isupper() for char in letters) / max(1, len(letters))


def starts_lower(reading: Reading) -> float:
    firsts = [next((char for char in text if char.isalpha()), "") for text in reading.texts]
    return sum(char.islower() for char in firsts) / len(firsts)


def characters_per_word(reading: Reading) -> float:
    return sum(map(len, reading.all_words)) / max(1, len(reading.all_words))


def type_token(reading: Reading) -> float:
    tokens = reading.all_words
    if len(tokens) <= WINDOW:
        return len(set(tokens)) / max(1, len(tokens))
    starts = range(0, len(tokens) - WINDOW + 1, WINDOW // 2)
    return float(np.mean([len(set(tokens[at : at + WINDOW])) / WINDOW for at in starts]))


def share(reading: Reading, holds: Callable[[str], bool]) -> float:
    return sum(map(holds, reading.all_words)) / max(1, len(reading.all_words))


def once(reading: Reading) -> float:
    counts = Counter(reading.all_words)
    return sum(1 for count in counts.values() if count == 1) / sqrt(max(1, len(reading.all_words)))


def first_words(reading: Reading) -> float:
    """Return the number of distinct first words of turns, divided by the number of turns."""
    firsts = [turn[0] for turn in reading.words if turn]
    return len(set(firsts)) / max(1, len(firsts))


def variation(reading: Reading) -> float:
    mean = float(reading.lengths.mean())
    return float(reading.lengths.std()) / mean if mean else 0.0


def adjacent(reading: Reading) -> float:
    """Return the mean ratio of the shorter to the longer of two successive turns."""
    ratios = [min(a, b) / max(a, b) for a, b in pairwise(reading.lengths) if max(a, b)]
    return float(np.mean(ratios)) if ratios else 0.0


def returns(reading: Reading) -> float:
    """Return the share of turns whose speaker also spoke two turns earlier, but not in between."""
    triples = list(zip(reading.speakers, reading.speakers[1:], reading.speakers[2:], strict=False))
    return sum(a == c != b for a, b, c in triples) / len(triples) if triples else 0.0


def taken_up(reading: Reading) -> float:
    """Return the mean share of a turn's longer words (5+ letters) that occur in the previous turn.

    Turns without such words do not count.
    """
    shares: list[float] = []
    for before, turn in pairwise(reading.words):
        content = {word for word in turn if len(word) >= 5}
        if content:
            shares.append(len(content.intersection(before)) / len(content))
    return float(np.mean(shares)) if shares else 0.0


def interaction(name: str, reading: Reading) -> float:
    """Return a measure of interaction; 0 if the measure has no value."""
    return reading.measures.get(name) or 0.0


def behaves(name: Behaviour, reading: Reading) -> list[bool]:
    """Return which turns have a behaviour; an empty list if the language has no patterns."""
    turns = reading.interaction.behaviours
    return [name in turn for turn in turns] if turns else []


def opens(name: Opener, reading: Reading) -> list[bool]:
    turns = reading.interaction.openers
    return [name == turn for turn in turns] if turns else []


def counter_questions(reading: Reading) -> list[bool]:
    return reading.interaction.counter_questions


def says_names(reading: Reading) -> float:
    """Return the share of turns that contain another speaker's name."""
    named = 0
    for speaker, text in zip(reading.speakers, reading.texts, strict=True):
        lowered = text.lower()
        others = {other.lower() for other in reading.speakers} - {speaker.lower()}
        parts = {part for other in others for part in other.split() if len(part) > 2}
        named += any(re.search(rf"\b{re.escape(part)}\b", lowered) for part in parts)
    return named / len(reading.texts)
