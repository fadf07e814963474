"""What the measures are called where people read them."""

from __future__ import annotations

__all__ = ["GROUP_CHAT", "MEASURES", "TURN_CHECKS"]

MEASURES = {
    "Type-token ratio, mean": "ttr_mean",
    "Distinct-1": "distinct_1",
    "Distinct-2": "distinct_2",
    "Self-BLEU, sample": "self_bleu",
    "ROUGE-L of pairs, sample": "rouge_l",
    "ROUGE-L to the nearest, first 200": "rouge_l_nearest",
    "Speakers per conversation": "speakers_per_conversation",
}
"""Name -> the field of `Statistics`."""

GROUP_CHAT = {
    "Participation balance (0 to 1)": "balance",
    "Longest absence, turns": "longest_absence",
    "Selector repairs / selections": "selector_repair_rate",
    "Called by name": "addressed",
    "… and answering next": "answered_next_rate",
    "… and answering at all": "answered_later_rate",
    "Self-repetitions / turns": "self_repetition_rate",
    "Farewell loops / conversations": "farewell_loop_rate",
    "Participants who never spoke": "never_spoke",
}
"""Name -> the field of `GroupChat`."""

TURN_CHECKS = {
    "asked_again": "asked again",
    "tidied": "tidied",
    "taken_with": "taken with",
    "broken_off": "broken off by",
}
"""The fields of `CheckCounts`, and how they are worded."""
