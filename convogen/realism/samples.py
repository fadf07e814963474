"""Selection of the conversations and turns to compare, and grouping of related conversations."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from convogen.errors import SourceError
from convogen.records import Conversation, Turn

__all__ = [
    "FEWEST",
    "MOST",
    "Dialogue",
    "Turns",
    "dialogue_of",
    "grouped",
    "sample",
    "single_turns",
]

Turns = Literal["all", "opener", "others"]
"""Whose turns are compared: everybody's, the first speaker's, or those of all other speakers."""

FEWEST = 30
"""Minimum number of conversations in each corpus."""

MOST = 1_500
"""Maximum number of conversations from each corpus; larger corpora are sampled."""

_OPENING_CHARS = 20
"""Minimum length, in characters, of an opening that identifies related conversations. Shorter
openings are probably greetings, which unrelated conversations may share."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation in the form used for comparison.

    Attributes:
        id: The id of the conversation in its corpus.
        turns: The speaker and the text of each compared turn.
        keys: Values that the dialogue shares with dialogues that must stay in the same group.
        language: The BCP 47 tag that the conversation states, if any.
    """

    id: str
    turns: tuple[tuple[str, str], ...]
    keys: frozenset[str]
    language: str | None = None

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.turns]

    def with_texts(self, texts: Iterable[str]) -> Dialogue:
        """Return the dialogue with the given texts instead of its own."""
        speakers = (speaker for speaker, _ in self.turns)
        return replace(self, turns=tuple(zip(speakers, texts, strict=True)))


def sample(
    conversations: Iterable[Conversation],
    name: str,
    *,
    turns: Turns = "all",
    skip: int = 0,
    first: int | None = None,
    seed: int = 0,
) -> list[Dialogue]:
    """Return at most `MOST` dialogues from a corpus for comparison, in the order of the corpus.

    Args:
        conversations: The corpus.
        name: The name of the corpus in error messages.
        turns: Whose turns are compared.
        skip: Number of turns to leave out at the beginning of each conversation, for example the
            turns taken from a seed.
        first: Number of turns after which a conversation is truncated, counted before any turn is
            left out.
        seed: Random seed for the sample that is drawn if there are more than `MOST` dialogues.

    Raises:
        SourceError: If fewer than `FEWEST` conversations have a turn that can be compared.
    """
    draw = random.Random(seed)
    kept: list[tuple[int, Dialogue]] = []
    count = 0
    for conversation in conversations:
        dialogue = dialogue_of(conversation, turns, skip, first)
        if dialogue is None:
            continue
        if len(kept) < MOST:
            kept.append((count, dialogue))
        elif (slot := draw.randrange(count + 1)) < MOST:
            kept[slot] = (count, dialogue)
        count += 1
    if len(kept) < FEWEST:
        raise SourceError(
            f"{name}: too few conversations to compare ({len(kept)}); a comparison needs at least "
            f"{FEWEST} conversations in each corpus"
        )
    return [dialogue for _, dialogue in sorted(kept, key=lambda one: one[0])]


def dialogue_of(
    conversation: Conversation, turns: Turns = "all", skip: int = 0, first: int | None = None
) -> Dialogue | None:
    """Return one conversation as a dialogue; None if the conversation has no turn that can be
    compared.

    The parameters have the same meaning as in `sample`.
    """
    spoken = [turn for turn in conversation.turns[:first] if turn.text.strip()]
    chosen = [turn for turn in spoken[skip:] if _is_chosen(turn, spoken[0].speaker, turns)]
    if not chosen:
        return None
    keys = {f"id {conversation.id}"}
    opening = " ".join(spoken[0].text.split())
    if len(opening) >= _OPENING_CHARS:
        keys.add(f"opening {opening}")
    if conversation.experience:
        keys.add(f"experience {conversation.experience}")
    if isinstance(source := conversation.context.get("seed"), str | int):
        keys.add(f"seed {source}")
    said = tuple((turn.speaker, turn.text) for turn in chosen)
    return Dialogue(conversation.id, said, frozenset(keys), conversation.language)


def single_turns(conversation: Conversation) -> list[Dialogue]:
    """Return one dialogue for each turn, in order; each dialogue contains only that turn."""
    return [
        Dialogue(conversation.id, ((turn.speaker, turn.text),), frozenset(), conversation.language)
        for turn in conversation.turns
    ]


def _is_chosen(turn: Turn, opener: str, turns: Turns) -> bool:
    return turns == "all" or (turn.speaker == opener) == (turns == "opener")


def grouped(dialogues: Sequence[Dialogue]) -> list[int]:
    """Return one group number per dialogue. Dialogues that share a key, even indirectly, get the
    same number."""
    parents = list(range(len(dialogues)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    owners: dict[str, int] = {}
    for index, dialogue in enumerate(dialogues):
        for key in dialogue.keys:
            parents[root(index)] = root(owners.setdefault(key, index))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(index), len(numbers)) for index in range(len(dialogues))]
