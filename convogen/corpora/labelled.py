"""A labelled data set as a source of shapes, labels and examples for new conversations."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from convogen.corpora.conversation_shapes import Shapes
from convogen.corpora.corpus import open_corpus
from convogen.errors import SourceError
from convogen.records import Conversation, Turn
from convogen.text.transcript import transcript

__all__ = ["KINDS", "Kind", "LabelledSource", "in_roles", "open_labelled", "script"]

Kind = Literal["summary", "topic", "intent", "emotion"]

KINDS: dict[Kind, tuple[str, ...]] = {
    "summary": ("summary",),
    "topic": ("topic", "topic1"),
    "intent": ("intent", "intents"),
    "emotion": ("emotions", "emotion"),
}
"""Maps each kind of label to the keys in `Conversation.context` under which readers store such
labels, likeliest first.

Emotions are a list with one entry per turn; other labels describe the whole conversation.
"""

MAX_DIALOGUES = 20_000
"""Maximum number of usable dialogues that are read from a source and kept in memory."""

MAX_SPEAKERS = 12
MAX_CHOICE_CHARS = 120

LICENCES = {"dialogsum": "CC-BY-NC-SA-4.0", "meld": "GPL-3.0"}
"""Maps a format to the licence under which its authors published the data."""

CODES = {
    ("dailydialog", "topic"): (
        1,
        "ordinary life, school life, culture and education, attitude and emotion, relationship, "
        "tourism, health, work, politics, finance",
    ),
    ("dailydialog", "emotion"): (
        0,
        "no emotion, anger, disgust, fear, happiness, sadness, surprise",
    ),
}
"""Maps a format and a kind of label to the lowest number that stands for a label, and to the names
of the labels in numeric order."""

_ROLE = re.compile(
    r"\W*(?:person|user|speaker|human|gpt|chatgpt|assistant|bot|model|agent|customer|client"
    r"|prompter)[ _-]?\d*\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LabelledSource:
    """The usable dialogues in a data set, which have all labels, two or more speakers, and two or
    more turns.

    `columns` maps each kind of label to its key in `Conversation.context`. For each kind of label
    except summaries, `texts` maps each label that a model sees to its values in the data.
    `shapes[i]` is the shape of `dialogues[i]`. If `roles` is true, the speakers are roles (`user`,
    `#Person1#`), not names.
    """

    name: str
    licence: str | None
    dialogues: list[Conversation]
    columns: dict[Kind, str]
    texts: dict[Kind, dict[str, list[Any]]]
    shapes: Shapes
    roles: bool
    hash: str

    def labels(self, kind: Kind, index: int) -> list[str]:
        """Return a dialogue's labels of one kind as strings: a single label, or one per turn."""
        values = _values(self.dialogues[index], self.columns[kind])
        if kind == "summary":
            return [str(value) for value in values]
        return [self._shown[kind, value] for value in values]

    def members(self, kind: Kind, label: str) -> list[int]:
        """Return the indices of the dialogues that have a given label."""
        return self._members[kind, label]

    @cached_property
    def _shown(self) -> dict[tuple[Kind, Any], str]:
        return {
            (kind, value): text
            for kind, texts in self.texts.items()
            for text, values in texts.items()
            for value in values
        }

    @cached_property
    def _members(self) -> dict[tuple[Kind, str], list[int]]:
        known = defaultdict[tuple[Kind, str], list[int]](list)
        for kind in self.texts:
            for at in range(len(self.dialogues)):
                for label in dict.fromkeys(self.labels(kind, at)):
                    known[kind, label].append(at)
        return known

    def speakers(self, index: int) -> list[str]:
        """Return the speakers in a dialogue in order of first appearance."""
        return list(dict.fromkeys(turn.speaker for turn in self.dialogues[index].turns))

    def roles_of(self, index: int, turns: Sequence[Turn]) -> dict[str, dict[str, str]]:
        """Return `{"speakers": {role: name}}` for new turns in a dialogue's shape; an empty dict if
        the source has names instead of roles."""
        if not self.roles:
            return {}
        names = dict.fromkeys(turn.speaker for turn in turns)
        return {"speakers": dict(zip(self.speakers(index), names, strict=False))}

    def system_of(self, index: int) -> dict[str, str]:
        """Return `{"system": …}` if a dialogue has a system message, else an empty dict.

        New dialogues with the same shape get the same system message.
        """
        system = self.dialogues[index].context.get("system")
        return {"system": system} if isinstance(system, str) else {}

    def as_source(self, conversation: Conversation) -> Conversation:
        """Return a generated conversation in the source's form, with the source's roles and
        columns."""
        system = conversation.context.get("system")
        context: dict[str, Any] = {"system": system} if isinstance(system, str) else {}
        for kind, label in (conversation.labelled or {}).items():
            value = label.value
            kinds = self.texts.get(cast("Kind", kind))
            if kinds is not None:
                many = isinstance(value, list)
                found = [kinds[text][0] for text in (cast("list[str]", value) if many else [value])]
                value = found if many else found[0]
            context[self.columns[cast("Kind", kind)]] = value
        heard = in_roles(conversation)
        turns = [Turn(speaker=turn.speaker, text=turn.text) for turn in heard.turns]
        people = list(dict.fromkeys(turn.speaker for turn in turns))
        return Conversation(id=conversation.id, participants=people, context=context, turns=turns)

    def examples(self, rng: random.Random, n: int, likely: Sequence[int], base: int) -> list[int]:
        """Return the indices of up to `n` example dialogues other than `base`, drawn at random from
        `likely` or, if `likely` has fewer than `n` of them, from all dialogues.

        Twice as many dialogues are drawn and the shorter half is returned, because the examples are
        repeated in many prompts.
        """
        pool = [index for index in likely if index != base]
        if len(pool) < n:
            pool = [index for index in range(len(self.dialogues)) if index != base] or [base]
        drawn = rng.sample(pool, min(2 * n, len(pool)))
        return sorted(drawn, key=lambda index: len(script(self.dialogues[index])))[:n]


def in_roles(conversation: Conversation) -> Conversation:
    """Return a generated conversation, with the speakers' names replaced by their roles, if any."""
    roles = {name: role for role, name in conversation.context.get("speakers", {}).items()}
    turns = [
        t.model_copy(update={"speaker": roles.get(t.speaker, t.speaker)})
        for t in conversation.turns
    ]
    return conversation.model_copy(update={"turns": turns})


def script(conversation: Conversation) -> str:
    """Return a conversation as a script with one turn per line."""
    return transcript(conversation.turns)


def open_labelled(
    source: str,
    *,
    format: str | None,  # noqa: A002 - the command line's word
    kinds: Sequence[Kind],
    columns: dict[Kind, str],
    max_turns: int,
    licence: str | None,
) -> LabelledSource:
    """Read a labelled source.

    If `kinds` is empty, all kinds of labels in the source are used. `columns` overrides the keys
    under which labels are looked up. Raises `SourceError` if the source cannot be read, lacks a
    requested label, or has fewer than two usable dialogues.
    """
    corpus = open_corpus(source, format)
    read = list(
        islice((dialogue for dialogue in corpus if _usable(dialogue, max_turns)), MAX_DIALOGUES)
    )
    chosen = _columns(read, kinds, columns)
    for kind in dict.fromkeys((*kinds, *columns)):
        if kind not in chosen:
            if kind in columns and kinds and kind not in kinds:
                raise SourceError(
                    f"--field {kind}={columns[kind]}: {kind} labels are not requested; add "
                    f"--label {kind}"
                )
            there = ", ".join(dict.fromkeys(key for dialogue in read for key in dialogue.context))
            raise SourceError(
                f"{source}: no usable {kind} label in {columns.get(kind, 'the data')!s:.60}; "
                f"labels in the data: {there or 'none'}; specify the column with --field "
                f"{kind}=COLUMN"
            )
    dialogues = [
        dialogue
        for dialogue in read
        if all(_fits(dialogue, kind, key) for kind, key in chosen.items())
    ]
    if len(dialogues) < 2:
        raise SourceError(
            f"{source}: at least 2 usable dialogues are needed (found: {len(dialogues)}); a usable "
            f"dialogue has 2 to {max_turns} turns, 2 to {MAX_SPEAKERS} speakers, and all labels "
            f"({', '.join(chosen) or 'none'})"
        )
    digest = hashlib.blake2b(digest_size=8)
    for dialogue in dialogues:
        digest.update(dialogue.to_line())
    return LabelledSource(
        name=source if source.startswith("hf:") else Path(source).name,
        licence=licence or LICENCES.get(corpus.format.name),
        dialogues=dialogues,
        columns=chosen,
        texts={
            kind: _texts(dialogues, corpus.format.name, kind, key)
            for kind, key in chosen.items()
            if kind != "summary"
        },
        shapes=Shapes.from_corpus(dialogues),
        roles=all(
            _ROLE.fullmatch(turn.speaker) for dialogue in dialogues for turn in dialogue.turns
        ),
        hash=digest.hexdigest(),
    )


def _usable(dialogue: Conversation, max_turns: int) -> bool:
    speakers = {turn.speaker for turn in dialogue.turns}
    said = all(turn.text.strip() for turn in dialogue.turns)
    return 2 <= len(dialogue.turns) <= max_turns and 2 <= len(speakers) <= MAX_SPEAKERS and said


def _columns(
    dialogues: Sequence[Conversation], kinds: Sequence[Kind], given: dict[Kind, str]
) -> dict[Kind, str]:
    """Return the key for each kind of label, which is the first candidate under which any dialogue
    has a label of this kind.

    If `given` has a key for a kind, that key is the only candidate.
    """
    chosen: dict[Kind, str] = {}
    for kind in KINDS:
        if kinds and kind not in kinds:
            continue
        for key in (given[kind],) if kind in given else KINDS[kind]:
            if any(_fits(one, kind, key) for one in dialogues):
                chosen[kind] = key
                break
    return chosen


def _fits(dialogue: Conversation, kind: Kind, key: str) -> bool:
    """Return whether a dialogue has a label of this kind under this key."""
    value = dialogue.context.get(key)
    if kind == "emotion":
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return len(items) == len(dialogue.turns) and all(_choice(item) for item in items)
    if kind == "summary":
        return isinstance(value, str) and bool(value.strip())
    return _choice(value)


def _choice(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    return isinstance(value, int) or 0 < len(value.strip()) <= MAX_CHOICE_CHARS


def _values(dialogue: Conversation, key: str) -> list[Any]:
    value = dialogue.context[key]
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _texts(
    dialogues: Sequence[Conversation], form: str, kind: Kind, key: str
) -> dict[str, list[Any]]:
    """Return a dict from each label of a kind, as shown to models, to its values in the data, with
    the most frequent label first."""
    first, names = CODES.get((form, kind), (0, ""))
    coded = dict(enumerate(names.split(", "), first)) if names else {}
    counts = Counter(value for one in dialogues for value in _values(one, key))
    texts: dict[str, list[Any]] = {}
    for value, _ in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        text = str(coded.get(value, value))
        texts.setdefault(" ".join(text.split()), []).append(value)
    return texts
