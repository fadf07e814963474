"""Measures of group chats: who speaks, who is left out, and who answers.

These measures are not from a paper. All functions are pure and take one speaker and one utterance
per turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import NamedTuple

from convogen.interaction.vocatives import MOST_NAMES, called_in
from convogen.text.utterances import FAREWELL_TURNS, is_farewell, repeats

__all__ = [
    "FAREWELL_TURNS",
    "Addressing",
    "addressing",
    "balance",
    "longest_absence",
    "longest_farewell",
    "self_repetitions",
]

_LOOK_BACK = 50
_CLIP = 2_000


def balance(speakers: Sequence[str], participants: Sequence[str]) -> float | None:
    """Return the evenness of participation, 0 to 1; None for fewer than two participants.

    The evenness is the entropy of the participants' shares of turns, divided by the maximum entropy
    for all participants, including those who never speak.
    """
    counts = Counter(speakers)
    people = len(set(participants) | set(counts))
    if people < 2 or not speakers:
        return None
    shares = [count / len(speakers) for count in counts.values()]
    return max(0.0, -sum(share * log(share) for share in shares) / log(people))


def longest_absence(speakers: Sequence[str], participants: Sequence[str]) -> int:
    """Return the length, in turns, of the longest silence of any participant."""
    last = dict.fromkeys(participants, -1)
    longest = 0
    for at, speaker in enumerate(speakers):
        longest = max(longest, at - last.get(speaker, -1) - 1)
        last[speaker] = at
    return max([longest, *(len(speakers) - 1 - at for at in last.values())])


class Addressing(NamedTuple):
    """Counts of the turns, other than the last, that address another participant by name.

    `addressed` counts all of these turns. `next_turn` counts the turns after which an addressed
    participant speaks next, and `later` counts the turns after which an addressed participant
    speaks at any time.
    """

    addressed: int
    next_turn: int
    later: int


def addressing(
    speakers: Sequence[str],
    utterances: Sequence[str],
    participants: Sequence[str],
    language: str = "en",
) -> Addressing:
    """Return how often participants speak after being addressed by name.

    Only the first 2,000 characters of a turn and the first 50 participants are considered.
    """
    addressed = next_turn = later = 0
    for at, text in enumerate(utterances[:-1]):
        others = [name for name in participants[:MOST_NAMES] if name != speakers[at]]
        called = called_in(text, others, language)
        if called:
            addressed += 1
            next_turn += speakers[at + 1] in called
            later += any(name in called for name in speakers[at + 1 :])
    return Addressing(addressed, next_turn, later)


def self_repetitions(speakers: Sequence[str], utterances: Sequence[str]) -> int:
    """Return the number of turns that nearly repeat one of the speaker's previous fifty turns.

    Only the first 2,000 characters of a turn are compared.
    """
    said: dict[str, list[str]] = {}
    found = 0
    for speaker, text in zip(speakers, utterances, strict=True):
        earlier = said.setdefault(speaker, [])
        found += repeats(text[:_CLIP], earlier[-_LOOK_BACK:])
        earlier.append(text[:_CLIP])
    return found


def longest_farewell(utterances: Sequence[str], language: str = "en") -> int:
    """Return the largest number of consecutive turns that are farewells."""
    longest = run = 0
    for text in utterances:
        run = run + 1 if is_farewell(text, language) else 0
        longest = max(longest, run)
    return longest
