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
"""The kinds of labels, and where readers put each: in `Conversation.context`, the likeliest first.

An emotion is a list, one a turn; the others are of the conversation.
"""

MAX_DIALOGUES = 20_000
"""As many of a source's usable dialogues are held and drawn from."""

MAX_SPEAKERS = 12
MAX_CHOICE_CHARS = 120

LICENCES = {"dialogsum": "CC-BY-NC-SA-4.0", "meld": "GPL-3.0"}
"""Under which terms the authors of a format's data set published it."""

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
"""What the numbers mean that a format has for labels: the first, and all in their order."""

_ROLE = re.compile(
    r"\W*(?:person|user|speaker|human|gpt|chatgpt|assistant|bot|model|agent|customer|client"
    r"|prompter)[ _-]?\d*\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LabelledSource:
    """The usable dialogues of a data set: two or more speakers and turns, all labels there.

    `columns` has for each kind of label the key of `Conversation.context`; `texts` the labels as
    they are shown to a model, with the values they stand for. `shapes[i]` is that of
    `dialogues[i]`. With `roles` its speakers are roles (`user`, `#Person1#`), not names.
    """

    name: str
    licence: str | None
    dialogues: list[Conversation]
    columns: dict[Kind, str]
    texts: dict[Kind, dict[str, list[Any]]]
    shapes: Shapes
    roles: bool
    hash: str

    def labels(self, kind: Kind, at: int) -> list[str]:
        """Return a dialogue's labels of a kind as texts: one, or one a turn."""
        values = _values(self.dialogues[at], self.columns[kind])
        if kind == "summary":
            return [str(value) for value in values]
        return [self._shown[kind, value] for value in values]

    def members(self, kind: Kind, label: str) -> list[int]:
        """Return the dialogues that have a label."""
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

    def speakers(self, at: int) -> list[str]:
        """Return who speaks in a dialogue, in the order they first do."""
        return list(dict.fromkeys(turn.speaker for turn in self.dialogues[at].turns))

    def roles_of(self, at: int, turns: Sequence[Turn]) -> dict[str, dict[str, str]]:
        """`{"speakers": {role: name}}` of new turns, after a dialogue's roles; empty for names."""
        if not self.roles:
            return {}
        names = dict.fromkeys(turn.speaker for turn in turns)
        return {"speakers": dict(zip(self.speakers(at), names, strict=False))}

    def system_of(self, at: int) -> dict[str, str]:
        """`{"system": …}` if a dialogue has a system message: one of its shape has the same."""
        system = self.dialogues[at].context.get("system")
        return {"system": system} if isinstance(system, str) else {}

    def as_source(self, one: Conversation) -> Conversation:
        """Return a generated conversation as one of the source: its roles, labels in its
        columns."""
        system = one.context.get("system")
        context: dict[str, Any] = {"system": system} if isinstance(system, str) else {}
        for kind, label in (one.labelled or {}).items():
            value = label.value
            kinds = self.texts.get(cast("Kind", kind))
            if kinds is not None:
                many = isinstance(value, list)
                found = [kinds[text][0] for text in (cast("list[str]", value) if many else [value])]
                value = found if many else found[0]
            context[self.columns[cast("Kind", kind)]] = value
        heard = in_roles(one)
        turns = [Turn(speaker=turn.speaker, text=turn.text) for turn in heard.turns]
        people = list(dict.fromkeys(turn.speaker for turn in turns))
        return Conversation(id=one.id, participants=people, context=context, turns=turns)

    def examples(self, rng: random.Random, n: int, likely: Sequence[int], base: int) -> list[int]:
        """`n` dialogues to show, of those `likely` if there are enough, but the base.

        The shorter of twice as many drawn: an example is in many prompts.
        """
        pool = [at for at in likely if at != base]
        if len(pool) < n:
            pool = [at for at in range(len(self.dialogues)) if at != base] or [base]
        drawn = rng.sample(pool, min(2 * n, len(pool)))
        return sorted(drawn, key=lambda at: len(script(self.dialogues[at])))[:n]


def in_roles(one: Conversation) -> Conversation:
    """Return a generated conversation with its speakers' roles, if it has them, for their names."""
    roles = {name: role for role, name in one.context.get("speakers", {}).items()}
    turns = [t.model_copy(update={"speaker": roles.get(t.speaker, t.speaker)}) for t in one.turns]
    return one.model_copy(update={"turns": turns})


def script(conversation: Conversation) -> str:
    """Return a conversation as a script, a turn a line."""
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
    """Read a source; `kinds` empty stands for all that it has, `columns` says where labels are.

    Raises `SourceError` if it cannot be read, has not the labels, or no usable dialogue.
    """
    corpus = open_corpus(source, format)
    read = list(islice((one for one in corpus if _usable(one, max_turns)), MAX_DIALOGUES))
    chosen = _columns(read, kinds, columns)
    for kind in dict.fromkeys((*kinds, *columns)):
        if kind not in chosen:
            if kind in columns and kinds and kind not in kinds:
                raise SourceError(
                    f"--field {kind}={columns[kind]}: no {kind} is asked for; --label {kind} does"
                )
            there = ", ".join(dict.fromkeys(key for one in read for key in one.context))
            raise SourceError(
                f"{source}: no {kind} in {columns.get(kind, 'it')!s:.60} that can be used; its "
                f"labels are: {there or 'none'}; say which holds it with --field {kind}=COLUMN"
            )
    found = [one for one in read if all(_fits(one, kind, key) for kind, key in chosen.items())]
    if len(found) < 2:
        raise SourceError(
            f"{source}: {len(found)} dialogues of 2 to {max_turns} turns with 2 to {MAX_SPEAKERS} "
            f"speakers and all labels ({', '.join(chosen) or 'none'}); at least 2 are needed"
        )
    digest = hashlib.blake2b(digest_size=8)
    for one in found:
        digest.update(one.to_line())
    return LabelledSource(
        name=source if source.startswith("hf:") else Path(source).name,
        licence=licence or LICENCES.get(corpus.format.name),
        dialogues=found,
        columns=chosen,
        texts={
            kind: _texts(found, corpus.format.name, kind, key)
            for kind, key in chosen.items()
            if kind != "summary"
        },
        shapes=Shapes.from_corpus(found),
        roles=all(_ROLE.fullmatch(turn.speaker) for one in found for turn in one.turns),
        hash=digest.hexdigest(),
    )


def _usable(one: Conversation, max_turns: int) -> bool:
    speakers = {turn.speaker for turn in one.turns}
    said = all(turn.text.strip() for turn in one.turns)
    return 2 <= len(one.turns) <= max_turns and 2 <= len(speakers) <= MAX_SPEAKERS and said


def _columns(
    dialogues: Sequence[Conversation], kinds: Sequence[Kind], given: dict[Kind, str]
) -> dict[Kind, str]:
    """Return where the labels are: the first place of each kind that a dialogue fits."""
    chosen: dict[Kind, str] = {}
    for kind in KINDS:
        if kinds and kind not in kinds:
            continue
        for key in (given[kind],) if kind in given else KINDS[kind]:
            if any(_fits(one, kind, key) for one in dialogues):
                chosen[kind] = key
                break
    return chosen


def _fits(one: Conversation, kind: Kind, key: str) -> bool:
    """Return whether a dialogue has a label of a kind under a key."""
    value = one.context.get(key)
    if kind == "emotion":
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return len(items) == len(one.turns) and all(_choice(item) for item in items)
    if kind == "summary":
        return isinstance(value, str) and bool(value.strip())
    return _choice(value)


def _choice(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    return isinstance(value, int) or 0 < len(value.strip()) <= MAX_CHOICE_CHARS


def _values(one: Conversation, key: str) -> list[Any]:
    value = one.context[key]
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _texts(
    dialogues: Sequence[Conversation], form: str, kind: Kind, key: str
) -> dict[str, list[Any]]:
    """Text -> the values it stands for, of all labels of a kind, the frequent ones first."""
    first, names = CODES.get((form, kind), (0, ""))
    coded = dict(enumerate(names.split(", "), first)) if names else {}
    counts = Counter(value for one in dialogues for value in _values(one, key))
    texts: dict[str, list[Any]] = {}
    for value, _ in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        text = str(coded.get(value, value))
        texts.setdefault(" ".join(text.split()), []).append(value)
    return texts
