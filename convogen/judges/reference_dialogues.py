"""The input for judges: the conversations in a run or in any corpus, and their reference dialogues.

The scores for a corpus are stored in a separate folder, in the same kinds of files as the scores
for a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from convogen.corpora import Corpus, open_corpus
from convogen.corpora.seeds import opening, seed_id
from convogen.errors import SourceError
from convogen.records import Conversation, Turn
from convogen.storage.frames import RunTable
from convogen.storage.run_folder import Run

__all__ = [
    "CorpusFolder",
    "PairFolder",
    "ReferenceDialogues",
    "digest_of",
    "pair_by_seed",
    "pairing_key",
    "real_dialogues",
    "seed_of",
]


_SHOWN = 60
"""Maximum number of characters of an utterance that are quoted in a message."""


class _Elsewhere(Run):
    """A score folder whose conversations are stored elsewhere."""

    def _written(self, table: RunTable) -> Iterator[dict[str, Any]]:
        if table in ("conversations", "turns"):
            return (one.model_dump(exclude_none=True) for one in self.conversations())
        return super()._written(table)


class CorpusFolder(_Elsewhere):
    """The score folder for a corpus, which has none of the other files of a run folder."""

    def __init__(self, source: str, folder: Path, corpus: Corpus | None = None) -> None:
        super().__init__(folder)
        self._corpus = corpus or open_corpus(source)
        self.source = source

    @property
    def manifest(self) -> dict[str, Any]:
        """A manifest that contains only a fingerprint and the source, since nothing else is known
        about a corpus."""
        return {"fingerprint": self.digest, "source": self.source}

    def conversations(self) -> Iterator[Conversation]:
        """Return the conversations in the corpus, skipping rows that cannot be read."""
        return iter(self._corpus)

    def _ids(self) -> Iterator[str]:
        return (one.id for one in self.conversations())

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that identify the content of the corpus."""
        return digest_of((one.id, one.turns) for one in self.conversations())


class PairFolder(_Elsewhere):
    """The dialogues of one run that have a counterpart in another run, with their score folder."""

    def __init__(self, first: Run, references: ReferenceDialogues, folder: Path) -> None:
        super().__init__(folder)
        self._first = first
        self._references = references

    @property
    def manifest(self) -> dict[str, Any]:
        """An empty manifest."""
        return {}

    def conversations(self) -> Iterator[Conversation]:
        """Return the first run's paired conversations in order."""
        return (conversation for _, conversation in self._paired_conversations())

    def _ids(self) -> Iterator[str]:
        return (one.id for one in self.conversations())

    def keys(self) -> dict[str, str]:
        """Return the pairing key of each conversation, keyed by the conversation's id."""
        return {one.id: f"{pairing_key(one, place)}" for place, one in self._paired_conversations()}

    def _paired_conversations(self) -> Iterator[tuple[int, Conversation]]:
        for place, conversation in enumerate(self._first.conversations()):
            if self._references.has(conversation, place):
                yield place, conversation


class ReferenceDialogues:
    """Reference dialogues, looked up by seed, by person and goal, or by position (from 0).

    `digest` identifies the content of the dialogues; by default, it is computed. With
    `same_opening`, a dialogue that is found by position must have the same opening as the
    conversation, ignoring white space and case.
    """

    def __init__(
        self,
        name: str,
        dialogues: Mapping[str | int, Sequence[Turn]],
        *,
        digest: str | None = None,
        same_opening: bool = False,
    ) -> None:
        self.name = name
        self._dialogues = dialogues
        self._digest = digest
        self._same_opening = same_opening

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that identify the content."""
        return self._digest or digest_of(self._dialogues.items())

    def has(self, conversation: Conversation, place: int) -> bool:
        """Return whether there is a reference for the conversation at index `place`."""
        return bool(self._dialogues.get(pairing_key(conversation, place)))

    def of(self, conversation: Conversation, place: int) -> tuple[Turn, ...]:
        """Return the reference for the conversation at index `place`.

        Raises `SourceError` if there is no reference, or if the reference has a different opening.
        """
        if not self.has(conversation, place):
            raise SourceError(
                f"{self.name}: contains no dialogue to compare with conversation "
                f"{conversation.id}, which has {_missing(conversation, place)}"
            )
        key = pairing_key(conversation, place)
        reference = tuple(self._dialogues[key])
        here, there = opening(conversation.turns), opening(reference)
        if self._same_opening and isinstance(key, int) and here != there:
            raise SourceError(
                f"{self.name}: dialogue {key + 1} does not match conversation {conversation.id}: "
                f"the dialogue begins with {there[:_SHOWN]!r}, but the conversation begins with "
                f"{here[:_SHOWN]!r}; provide dialogues with the ids of their seeds, or the real "
                "dialogues in the order of the conversations"
            )
        return reference


def real_dialogues(source: str) -> ReferenceDialogues:
    """Return all real dialogues in a corpus, which are kept in memory.

    Dialogues are looked up by the ids of their seeds. If a vote compares two dialogues, the longer
    dialogue is used, as for seeds. If a person has several dialogues with the same goal, the first
    dialogue is used. Raises `SourceError` if the corpus contains no dialogues.
    """
    dialogues: dict[str | int, Sequence[Turn]] = {}
    for place, conversation in enumerate(open_corpus(source)):
        dialogues[place] = conversation.turns
        name = seed_id(conversation)
        if name not in dialogues or (
            "side" in conversation.context and len(conversation.turns) > len(dialogues[name])
        ):
            dialogues[name] = conversation.turns
        if errand := _errand(conversation, place):
            dialogues.setdefault(errand, conversation.turns)
    if not dialogues:
        raise SourceError(
            f"{source}: contains no dialogues; specify a source that contains the real dialogues"
        )
    return ReferenceDialogues(source, dialogues, same_opening=True)


def pair_by_seed(first: Run, second: Run, out: Path) -> tuple[PairFolder, ReferenceDialogues]:
    """Pair the dialogues from two runs that have the same seeds; scores are written to a folder in
    `out`.

    The dialogues from the second run are kept in memory. Raises `SourceError` if the runs share no
    seed or contain the same dialogues.
    """
    prints = [str(run.manifest.get("fingerprint")) for run in (first, second)]
    if prints[0] == prints[1]:
        both = f"{_called(first)} and {_called(second)}"
        raise SourceError(f"{both} contain the same dialogues; provide two different runs")
    dialogues: dict[str | int, Sequence[Turn]] = {
        pairing_key(conversation, place): conversation.turns
        for place, conversation in enumerate(second.conversations())
    }
    references = ReferenceDialogues(_called(second), dialogues, digest=prints[1])
    pair = PairFolder(first, references, out / "-".join(prints))
    if next(pair.conversations(), None) is None:
        raise SourceError(
            f"{_called(first)} and {_called(second)} have no seeds in common; provide two runs "
            "with the same seeds"
        )
    pair.folder.mkdir(parents=True, exist_ok=True)
    return pair, references


def _called(run: Run) -> str:
    """Return the name that the user gave: the source of a corpus, or the folder of a run."""
    return run.source if isinstance(run, CorpusFolder) else str(run.folder)


def pairing_key(conversation: Conversation, place: int) -> str | int:
    """Return the pairing key of a conversation: its seed, or else its person and goal, or else its
    position."""
    known = seed_of(conversation) or _errand(conversation, place)
    return known or (place if conversation.task is None else conversation.task)


def _errand(conversation: Conversation, place: int) -> str | None:
    """Return the person and goal of a role play; None for other conversations.

    The person is `persona_id` or `persona` in the context, or else the task or position. The goal
    is `goal` in the context or, in convogen's role plays, the situation.
    """
    context = conversation.context
    ours = conversation.method == "roleplay"
    goal = context.get("goal", context.get("situation") if ours else None)
    if not isinstance(goal, str) or not goal.strip():
        return None
    person = context.get("persona_id", context.get("persona"))
    if isinstance(person, bool) or not isinstance(person, str | int):
        person = f"task {place if conversation.task is None else conversation.task}"
    return " ".join(f"{person} wants: {goal}".casefold().split())


def _missing(conversation: Conversation, place: int) -> str:
    """Describe the key by which a conversation was to be paired, and how to provide a matching
    dialogue."""
    if seed := seed_of(conversation):
        return f"seed {seed!r}; provide the dialogues from which the seeds were taken"
    if errand := _errand(conversation, place):
        found = errand if len(errand) <= _SHOWN else f"{errand[:_SHOWN]}…"
        return (
            f"the persona and goal {found!r}; provide dialogues with the same persona_id and goal"
        )
    return (
        "no seed and no counterpart by position; provide the dialogues from which the seeds were "
        "taken"
    )


def seed_of(conversation: Conversation) -> str | None:
    """Return the id of the real dialogue that seeded a conversation, if any."""
    seed = conversation.context.get("seed")
    return seed if isinstance(seed, str) else None


def digest_of(dialogues: Iterable[tuple[str | int, Sequence[Turn]]]) -> str:
    """Return 16 hexadecimal digits that identify named dialogues by speakers and texts, in
    order."""
    digest = hashlib.blake2b(digest_size=8)
    for name, turns in dialogues:
        digest.update(repr((name, [(turn.speaker, turn.text) for turn in turns])).encode())
    return digest.hexdigest()
