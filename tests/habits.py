"""Conversations written by rules with adjustable habits, without models or people."""

from __future__ import annotations

import random
from collections.abc import Iterator

from convogen.records import Conversation, Turn

SUBJECTS = "the dog|my sister|that old bike|our neighbour|the kettle|this bus|your map".split("|")
VERBS = "came back|broke again|was late|needs paint|made me laugh|got lost|looks fine".split("|")
PLACES = "by the river|in the kitchen|at the market|near the station|on the stairs".split("|")


def converse(
    n: int,
    *,
    seed: int,
    questions: float = 0.3,
    exclaims: float = 0.1,
    word: str = "",
    opening: str = "{index} days ago we met {place} and talked",
    turns: int = 6,
) -> Iterator[Conversation]:
    """Yield conversations between two people.

    Args:
        n: Number of conversations.
        seed: Seed of all draws.
        questions: Share of turns that end with a question mark.
        exclaims: Share of turns that end with an exclamation mark.
        word: Word at the beginning of every third turn.
        opening: The first turn.
        turns: Number of turns per conversation.
    """
    draw = random.Random(seed)
    for index in range(n):
        said = [Turn(speaker="Ada", text=opening.format(index=index, place=draw.choice(PLACES)))]
        for at in range(1, turns):
            text = f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(PLACES)}"
            text = f"{word} {text}" if word and at % 3 == 0 else text
            chance = draw.random()
            mark = "?" if chance < questions else "!" if chance < questions + exclaims else "."
            said.append(Turn(speaker=("Ada", "Ben")[at % 2], text=text.capitalize() + mark))
        yield Conversation(id=f"{seed}-{index}", turns=said)
