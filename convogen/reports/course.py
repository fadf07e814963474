"""Diversity over the course of a run: does the generator repeat itself?

Iterative sampling is meant to prevent repetition (ConvoGen, section IV-C). The course consists of
rolling means, in plan order, of MTLD and of each experience's similarity to earlier experiences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.process import extractOne

from convogen.metrics.repetition import NEAR_COPY
from convogen.records import Experience

__all__ = ["LOOK_BACK", "Course", "course"]

LOOK_BACK = 1_000
"""Number of preceding experiences with which each experience is compared."""

_CLIP = 1_000
_POINTS = 200


@dataclass(frozen=True, slots=True)
class Course:
    """Rolling means over `window` experiences or conversations, at up to 200 points in plan order.

    `nearest` is the similarity (0 to 1) of an experience to the most similar earlier experience,
    `near_copies` is the share of experiences with a similarity of 0.9 or more, and `mtld` is the
    MTLD of conversations. `experience_at` and `conversation_at` contain the number, from 1, of the
    last experience or conversation in each window.
    """

    window: int
    experience_at: list[int]
    nearest: list[float]
    near_copies: list[float]
    conversation_at: list[int]
    mtld: list[float]


def course(experiences: Iterable[Experience], mtld: Sequence[float]) -> Course:
    """Return the course of a run.

    `mtld` contains one value per conversation, which is NaN if the conversation has no words.
    """
    similar = np.array(_nearest(experiences), float)
    lexical = np.array(mtld, float)
    window = max(1, min(50, len(lexical) // 5))
    experience_at, nearest = _rolling(similar, window)
    _, copies = _rolling((similar >= NEAR_COPY).astype(float), window)
    conversation_at, rolling_mtld = _rolling(lexical, window)
    return Course(window, experience_at, nearest, copies, conversation_at, rolling_mtld)


def _nearest(experiences: Iterable[Experience]) -> list[float]:
    """Return the token-sort similarity (0 to 1) of each experience to the most similar earlier
    experience."""
    before: list[str] = []
    found: list[float] = []
    for experience in experiences:
        said = f"{experience.situation} {experience.relations} {experience.topic}"[:_CLIP]
        words = " ".join(sorted(re.findall(r"\w+", said.casefold())))
        best = extractOne(words, before, scorer=fuzz.ratio)
        found.append(best[1] / 100 if best else 0.0)
        before = [*before[1 - LOOK_BACK :], words]
    return found


def _rolling(values: NDArray[np.float64], window: int) -> tuple[list[int], list[float]]:
    """Return the ends of the windows, and the mean of the values in each window, ignoring NaN."""
    if len(values) < window:
        return [], []
    known = ~np.isnan(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.arange(window, len(values) + 1)
    if len(ends) > _POINTS:
        ends = np.unique(np.linspace(window, len(values), _POINTS).astype(int))
    inside = counts[ends] - counts[ends - window]
    means = (sums[ends] - sums[ends - window])[inside > 0] / inside[inside > 0]
    return ends[inside > 0].tolist(), means.tolist()
