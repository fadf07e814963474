"""Target lengths for a simulated user's turns, taken from real turns in other seeds.

A simulated dialogue takes the turn lengths of one real dialogue in order, which preserves patterns
such as a long message followed by short ones. When the real dialogue ends, another one is drawn at
random.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from convogen.corpora.seeds import INQUIRER, Seed
from convogen.text.budgets import about_words

__all__ = ["MOST_WORDS", "later_turns", "turn_lengths"]

MOST_WORDS = 400
"""Maximum target length in words. Longer real turns are mostly pasted text, which models need not
imitate."""


def later_turns(seed: Seed) -> list[int]:
    """Return the length, in words, of each of the user's turns after the first, limited to the
    range from 1 to `MOST_WORDS`."""
    later = [turn.text for turn in seed.turns if turn.speaker == INQUIRER][1:]
    return [min(max(1, about_words(text)), MOST_WORDS) for text in later]


def turn_lengths(seeds: Sequence[Seed], own: int, seed: int) -> Iterator[int]:
    """Yield an endless sequence of target turn lengths, in words.

    Args:
        seeds: All seeds. At least one seed other than `own` must have a second user turn.
        own: The index of the seed being played, whose lengths are not used.
        seed: The random seed.
    """
    rng = random.Random(f"{seed}/lengths")
    places = [at for at in range(len(seeds)) if at != own]
    while True:
        yield from later_turns(seeds[rng.choice(places)])
