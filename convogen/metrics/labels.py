"""Display names of measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from convogen.text.checks import CHECKS
from convogen.text.language_tags import language_name
from convogen.text.segmentation import missing_extra

if TYPE_CHECKING:
    from convogen.metrics.statistics import Statistics

__all__ = [
    "GROUP_CHAT",
    "MEASURES",
    "TURN_CHECKS",
    "character_lengths",
    "lines_not_checked",
    "lines_without_words",
]

MEASURES = {
    "Type-token ratio, mean": "ttr_mean",
    "Distinct-1": "distinct_1",
    "Distinct-2": "distinct_2",
    "Self-BLEU, sample": "self_bleu",
    "ROUGE-L of pairs, sample": "rouge_l",
    "ROUGE-L with the nearest text, first 200": "rouge_l_nearest",
    "Speakers per conversation": "speakers_per_conversation",
}
"""Maps each display name to a field of `Statistics`."""

GROUP_CHAT = {
    "Participation balance (0 to 1)": "balance",
    "Longest absence, turns": "longest_absence",
    "Selector repairs / selections": "selector_repair_rate",
    "Turns addressing somebody by name": "addressed",
    "… answered in the next turn": "answered_next_rate",
    "… answered in any later turn": "answered_later_rate",
    "Self-repetitions / turns": "self_repetition_rate",
    "Farewell loops / conversations": "farewell_loop_rate",
    "Participants who never spoke": "never_spoke",
}
"""Maps each display name to a field of `GroupChat`."""

TURN_CHECKS = {
    "asked_again": "requested again",
    "tidied": "tidied",
    "taken_with": "kept despite",
    "broken_off": "ended early",
}
"""Maps each field of `CheckCounts` to its display name."""


def lines_without_words(found: Statistics) -> list[str]:
    """Return a line for each language whose conversations are excluded from word measures."""
    lines: list[str] = []
    for language, count in found.without_words.items():
        extra = missing_extra(language)
        why = (
            f"pip install '{extra}' adds a segmenter" if extra else "its words cannot be segmented"
        )
        lines.append(
            f"Excluded from the word measures: {count} of {found.conversations} conversations "
            f"(language {language}: {why})."
        )
    return lines


def lines_not_checked(not_checked: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each language that some checks do not support.

    `not_checked` is `Statistics.not_checked`.
    """
    return [
        f"Not checked in {'an unknown language' if tag == 'und' else language_name(tag)}: "
        f"{', '.join(CHECKS.get(check, check) for check in checks)}."
        for tag, checks in not_checked.items()
    ]


def character_lengths(found: Statistics) -> dict[str, float | None]:
    """Return the mean length in characters for each display name; empty if lengths are in words."""
    if found.length_unit != "characters":
        return {}
    lengths = {
        "Characters per conversation": found.conversation_length,
        "Characters per turn": found.turn_length,
    }
    return {name: length and length.mean for name, length in lengths.items()}
