"""What judges read: the conversations of a run or of any corpus, and the dialogues beside them.

A corpus' scores are kept in a folder of their own, in the same files as a run's.
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
    "real_dialogues",
    "seed_of",
]


_SHOWN = 60
"""Characters of an utterance in a message."""


class _Elsewhere(Run):
    """A folder for scores of conversations that are not in it."""

    def _written(self, table: RunTable) -> Iterator[dict[str, Any]]:
        if table in ("conversations", "turns"):
            return (one.model_dump(exclude_none=True) for one in self.conversations())
        return super()._written(table)


class CorpusFolder(_Elsewhere):
    """The scores of a corpus: a folder that has nothing else of a run."""

    def __init__(self, source: str, folder: Path, corpus: Corpus | None = None) -> None:
        super().__init__(folder)
        self._corpus = corpus or open_corpus(source)
        self.source = source

    @property
    def manifest(self) -> dict[str, Any]:
        """A corpus was not made here: nothing is known of it but what its dialogues are."""
        return {"fingerprint": self.digest, "source": self.source}

    def conversations(self) -> Iterator[Conversation]:
        """Return the corpus' conversations; rows that are none are left out."""
        return iter(self._corpus)

    def _ids(self) -> Iterator[str]:
        return (one.id for one in self.conversations())

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for what is said in the corpus."""
        return digest_of((one.id, one.turns) for one in self.conversations())


class PairFolder(_Elsewhere):
    """The dialogues of one run that another has a counterpart of, and their scores' folder."""

    def __init__(self, first: Run, beside: ReferenceDialogues, folder: Path) -> None:
        super().__init__(folder)
        self._first = first
        self._beside = beside

    @property
    def manifest(self) -> dict[str, Any]:
        """Nothing was made here."""
        return {}

    def conversations(self) -> Iterator[Conversation]:
        """Return the first run's, in their order."""
        return (conversation for _, conversation in self._found())

    def _ids(self) -> Iterator[str]:
        return (one.id for one in self.conversations())

    def keys(self) -> dict[str, str]:
        """Return what each conversation was begun with, by its id."""
        return {one.id: f"{_key(one, place)}" for place, one in self._found()}

    def _found(self) -> Iterator[tuple[int, Conversation]]:
        for place, conversation in enumerate(self._first.conversations()):
            if self._beside.has(conversation, place):
                yield place, conversation


class ReferenceDialogues:
    """Dialogues to set beside others: by their seed, by person and goal, or by place, from 0.

    `digest` stands for what is said in them, if something shorter does so. With `same_opening`
    what is found by its place has to begin as the other does, white space and case aside.
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
        """16 hexadecimal digits."""
        return self._digest or digest_of(self._dialogues.items())

    def has(self, conversation: Conversation, place: int) -> bool:
        """Return whether there is a dialogue on the same seed."""
        return bool(self._dialogues.get(_key(conversation, place)))

    def of(self, conversation: Conversation, place: int) -> tuple[Turn, ...]:
        """Return the dialogue on the same seed; `place` counts the conversations before it.

        Raises `SourceError` if there is none, or one that begins with something else.
        """
        if not self.has(conversation, place):
            raise SourceError(
                f"{self.name}: nothing to set beside conversation {conversation.id}, which has "
                f"{_missing(conversation, place)}"
            )
        key = _key(conversation, place)
        found = tuple(self._dialogues[key])
        here, there = opening(conversation.turns), opening(found)
        if self._same_opening and isinstance(key, int) and here != there:
            raise SourceError(
                f"{self.name}: its dialogue {key + 1} is not the one of conversation "
                f"{conversation.id}: it begins {there[:_SHOWN]!r}, that {here[:_SHOWN]!r}; give "
                "dialogues with the ids of their seeds, or the real ones in the same order"
            )
        return found


def real_dialogues(source: str) -> ReferenceDialogues:
    """Return the real dialogues in a corpus, all of them held; raises `SourceError` if there is
    none.

    Their ids are those of the seeds they are; of the two sides of a vote the longer one is taken,
    as the seed is. Of several dialogues of one person with one goal the first is taken.
    """
    dialogues: dict[str | int, Sequence[Turn]] = {}
    for place, one in enumerate(open_corpus(source)):
        dialogues[place] = one.turns
        name = seed_id(one)
        if name not in dialogues or (
            "side" in one.context and len(one.turns) > len(dialogues[name])
        ):
            dialogues[name] = one.turns
        if errand := _errand(one, place):
            dialogues.setdefault(errand, one.turns)
    if not dialogues:
        raise SourceError(f"{source}: no dialogue in it")
    return ReferenceDialogues(source, dialogues, same_opening=True)


def pair_by_seed(first: Run, second: Run, out: Path) -> tuple[PairFolder, ReferenceDialogues]:
    """Two runs' dialogues on the same seeds, those of the second held; scores go to a folder there.

    Raises `SourceError` if no seed is in both, or both are the same.
    """
    prints = [str(run.manifest.get("fingerprint")) for run in (first, second)]
    if prints[0] == prints[1]:
        both = f"{_called(first)} and {_called(second)}"
        raise SourceError(f"{both}: the same dialogues; give others")
    dialogues: dict[str | int, Sequence[Turn]] = {
        _key(one, place): one.turns for place, one in enumerate(second.conversations())
    }
    beside = ReferenceDialogues(_called(second), dialogues, digest=prints[1])
    pair = PairFolder(first, beside, out / "-".join(prints))
    if next(pair.conversations(), None) is None:
        raise SourceError(f"{_called(first)} and {_called(second)}: no seed in common")
    pair.folder.mkdir(parents=True, exist_ok=True)
    return pair, beside


def _called(run: Run) -> str:
    """Return what the user called it: a corpus' folder holds its scores alone."""
    return run.source if isinstance(run, CorpusFolder) else str(run.folder)


def _key(conversation: Conversation, place: int) -> str | int:
    """Return what a conversation was begun with: a seed, else a person and a goal, else its
    place."""
    known = seed_of(conversation) or _errand(conversation, place)
    return known or (place if conversation.task is None else conversation.task)


def _errand(conversation: Conversation, place: int) -> str | None:
    """Return who wants what in a role play; None for anything else.

    Who it is says `persona_id` or `persona` of the context, and without them the task or place; the
    goal is its `goal`, of a role play of our own the situation.
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
    """Return what a conversation would be found by, and what to give in order that it is."""
    if seed := seed_of(conversation):
        return f"seed {seed!r}; give the dialogues that the seeds are from"
    if errand := _errand(conversation, place):
        found = errand if len(errand) <= _SHOWN else f"{errand[:_SHOWN]}…"
        return f"{found!r}; give dialogues whose columns persona_id and goal have the same"
    return "no seed, and no counterpart by its place; give the dialogues that the seeds are from"


def seed_of(conversation: Conversation) -> str | None:
    """Return the id of the real dialogue that a conversation was begun with."""
    seed = conversation.context.get("seed")
    return seed if isinstance(seed, str) else None


def digest_of(dialogues: Iterable[tuple[str | int, Sequence[Turn]]]) -> str:
    """16 hexadecimal digits of named dialogues: who says what, in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for name, turns in dialogues:
        digest.update(repr((name, [(turn.speaker, turn.text) for turn in turns])).encode())
    return digest.hexdigest()
