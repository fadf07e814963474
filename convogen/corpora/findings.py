"""What reading a corpus came upon: bad rows, what was left out, and what is hardly right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from hashlib import blake2b

from convogen.records import Conversation

__all__ = ["BadRow", "BadRows", "Findings", "Reading"]

_SHOWN = 100
_MAX_IDS = 1_000_000
"""Ids among which doubles are looked for: 8 bytes of each are held."""

_MANY_TURNS = 6
_SOME_SPEAKERS = 4
_MANY_SPEAKERS = 8
_SPEAKER_WORDS = 6
_LABELS = frozenset(
    "info warn warning error debug trace critical fatal todo fixme done note from to cc bcc "
    "subject date".split()
)
"""What stands before colons in logs, notes and letters, and speaks in none."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: where it is and what is wrong with it.

    `line` is the line of the file (for Parquet and the hub the row), `row` counts the rows of the
    corpus from 1: it tells the elements of a JSON array on one line apart.
    """

    source: str
    line: int
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: row {self.row}: {self.message}"


@dataclass
class BadRows:
    """How many rows were left out, and the first hundred of them."""

    count: int = 0
    first: list[BadRow] = field(default_factory=list[BadRow])

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(row)


@dataclass
class _Seen:
    """What is counted of conversations, for the warnings of `Reading`."""

    turns: int = 0
    one_word: int = 0
    silent: int = 0
    strangers: int = 0
    longer: int = 0
    each_once: int = 0
    one_speaker: int = 0
    one_turn: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    sentence: str | None = None
    label: str | None = None
    c1: str | None = None

    def take(self, other: _Seen) -> None:
        """Add what was seen elsewhere: the counts, and of the examples those that are missing."""
        for each in fields(_Seen):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine or theirs if each.default is None else mine + theirs)


@dataclass
class Findings(_Seen):
    """What converting a batch came upon; false if no row was bad."""

    bad: list[BadRow] = field(default_factory=list[BadRow])
    ids: list[int] = field(default_factory=list[int])

    def __bool__(self) -> bool:
        return bool(self.bad)

    def look(self, conversations: Iterable[Conversation]) -> None:
        """Count what the warnings of `Reading` are about."""
        for one in conversations:
            self.ids.append(_digest(one.id))
            self.turns += len(one.turns)
            self.one_word += sum(_one_word(turn.text) for turn in one.turns)
            self.silent += sum(not turn.text.strip() for turn in one.turns)
            speakers = {turn.speaker for turn in one.turns}
            self.strangers += len(speakers) == len(one.turns) >= _MANY_SPEAKERS
            self.longer += len(one.turns) >= _SOME_SPEAKERS
            self.each_once += len(speakers) == len(one.turns) >= _SOME_SPEAKERS
            self.one_speaker += len(speakers) == 1
            self.one_turn += len(one.turns) == 1
            labels = (speaker for speaker in speakers if speaker.casefold() in _LABELS)
            self.label = self.label or min(labels, default=None)
            for turn in one.turns:
                if self.sentence is None and _is_sentence(turn.speaker):
                    self.sentence = turn.speaker
                if self.c1 is None and not turn.text.isprintable():
                    self.c1 = next((c for c in turn.text if "\x80" <= c <= "\x9f"), None)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest())


def _one_word(text: str) -> bool:
    """Return whether a turn is one word; a text in a script without blanks does not count as
    such."""
    return len(text.split()) == 1 and (text.isascii() or len(text) < 4)


def _is_sentence(speaker: str) -> bool:
    words = speaker.split()
    return len(words) > _SPEAKER_WORDS or (len(words) > 2 and speaker[-1:] in ".!?")


@dataclass
class Reading(_Seen):
    """What one pass over a corpus came upon."""

    bad_rows: BadRows = field(default_factory=BadRows)
    conversations: int = 0
    doubles: int = 0
    _ids: set[int] = field(default_factory=set[int])

    def add(self, found: Findings) -> None:
        for row in found.bad:
            self.bad_rows.add(row)
        for digest in found.ids:
            if digest in self._ids:
                self.doubles += 1
            elif len(self._ids) < _MAX_IDS:
                self._ids.add(digest)
        self.conversations += len(found.ids)
        self.take(found)

    def warnings(self) -> list[str]:
        """Return a line for each thing a user should look at before trusting the corpus."""
        said: list[str] = []
        if self.bad_rows.count:
            share = self.bad_rows.count / (self.bad_rows.count + self.conversations)
            much = " (half of it or more: is the format right?)" if share >= 1 / 2 else ""
            said.append(f"{self.bad_rows.count} bad rows left out{much}")
        if self.left_out:
            counts = ", ".join(f"{count:,} {kind}" for kind, count in self.left_out.most_common())
            said.append(f"messages that are no speech left out: {counts}")
        if self.silent:
            said.append(f"{self.silent:,} turns in which nothing is said")
        said += self._implausible()
        if self.doubles:
            said.append(f"{self.doubles:,} conversations have an id that is there already")
        if self.turns >= _MANY_TURNS and self.one_word == self.turns:
            said.append("every turn is a single word: is the format right?")
        if self.sentence is not None:
            said.append(f"a speaker looks like a sentence: {self.sentence[:80]!r}")
        if self.label is not None:
            said.append(f"a speaker looks like a label: {self.label!r}: do people talk in it?")
        if self.c1 is not None:
            said.append(
                f"control character U+{ord(self.c1):04X} in the text: it was once decoded from "
                "Windows-1252 as Latin-1"
            )
        return said

    def _implausible(self) -> list[str]:
        """Return a line for what makes a conversation of what hardly is one, or apart what is."""
        said: list[str] = []
        if (strangers := max(self.strangers, self.each_once if self._all_strangers else 0)) > 0:
            said.append(
                f"{strangers:,} conversations have another speaker in every turn: do all rows "
                "belong together?"
            )
        if 2 * self.one_speaker > self.conversations:
            said.append(
                f"{self.one_speaker:,} of {self.conversations:,} conversations have only one "
                f"speaker, {self.one_turn:,} only one turn: is the format right, and do rows that "
                "belong together say so?"
            )
        return said

    @property
    def _all_strangers(self) -> bool:
        return 2 * self.each_once > self.longer
