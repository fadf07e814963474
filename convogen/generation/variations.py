"""Variations: a tie between people, a place and a mood, drawn at random for each invented
experience.

The experiences of a round share their shots, so their prompts would otherwise be identical. The
drawn values are suggestions; the model may choose something similar.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from convogen.inputs.yaml12 import read_yaml

__all__ = ["Variation", "deal_variation", "draw_variation", "variations", "variations_hash"]

_FILE = Path(__file__).with_name("variations.yaml")
_PARTS = ("ties", "places", "moods")


@dataclass(frozen=True, slots=True)
class Variation:
    """Suggestions for one experience, each a phrase for the prompt.

    `topic` says what the topic should be near and far from; it is empty if any topic is allowed.
    """

    tie: str
    place: str
    mood: str
    topic: str = ""

    def scene(self) -> str:
        """Return the suggestions for given people: the place, the mood and the topic, if any."""
        scene = f"{self.place}; the mood is {self.mood}"
        return f"{scene}; the topic is {self.topic}" if self.topic else scene

    def __str__(self) -> str:
        return f"{self.tie}, {self.scene()}"


def draw_variation(rng: random.Random) -> Variation:
    """Return a variation whose parts are drawn independently at random."""
    listed = variations()
    return Variation(*(rng.choice(listed[part]) for part in _PARTS))


def deal_variation(seed: str, position: int, topic: str = "") -> Variation:
    """Return the variation at a position. Each part is dealt from a deck of the part's entries,
    which is reshuffled when it is empty.

    Args:
        seed: Random seed for the decks.
        position: The position in the sequence of variations, from 0.
        topic: A phrase that says what the topic should be near and far from.
    """
    dealt: list[str] = []
    for part in _PARTS:
        entries = variations()[part]
        deck, place = divmod(position, len(entries))
        dealt.append(random.Random(f"{seed}/{part}/{deck}").sample(entries, len(entries))[place])
    tie, place, mood = dealt
    return Variation(tie, place, mood, topic)


@lru_cache(maxsize=1)
def variations() -> dict[str, tuple[str, ...]]:
    """Return the shipped `ties`, `places` and `moods`, read once."""
    listed: dict[str, list[str]] = read_yaml(_FILE)
    return {part: tuple(entries) for part, entries in listed.items()}


@lru_cache(maxsize=1)
def variations_hash() -> str:
    """Return the hash of the shipped variations, for a run's fingerprint."""
    return hashlib.blake2b(_FILE.read_bytes(), digest_size=8).hexdigest()
