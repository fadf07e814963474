"""Findings about a corpus: bad rows, messages left out, and implausible content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from hashlib import blake2b

from convogen.records import Conversation
from convogen.text.counting import counted

__all__ = ["NESTED", "BadRow", "BadRows", "Findings", "Reading"]

NESTED = "nested conversation"
"""The kind of left-out items that are whole conversations; all other kinds are messages."""

_SHOWN = 100
_MAX_IDS = 1_000_000
"""Maximum number of ids checked for duplicates; each id takes 8 bytes."""

_MANY_TURNS = 6
_SOME_SPEAKERS = 4
_MANY_SPEAKERS = 8
_SPEAKER_WORDS = 6
_LABELS = frozenset(
    "info warn warning error debug trace critical fatal todo fixme done note from to cc bcc "
    "subject date".split()
)
"""Words that precede colons in logs, notes and letters but are not speakers."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out, with its position and its error.

    `line` is the line number in the file, or the row number for Parquet files and hub data sets.
    `row` is the number of the group of rows in the corpus, counted from 1; it distinguishes between
    elements of a JSON array that are on one line.
    """

    source: str
    line: int
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: row {self.row}: {self.message}"


@dataclass
class BadRows:
    """The number of rows left out, and the first hundred of them."""

    count: int = 0
    first: list[BadRow] = field(default_factory=list[BadRow])

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(row)


@dataclass
class _Seen:
    """Counts over conversations, on which the warnings from `Reading` are based."""

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
        """Add the counts from `other`; if an example is missing here, copy it from `other`."""
        for each in fields(_Seen):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine or theirs if each.default is None else mine + theirs)


@dataclass
class Findings(_Seen):
    """The findings about a converted batch; truthy if any row was bad."""

    bad: list[BadRow] = field(default_factory=list[BadRow])
    ids: list[int] = field(default_factory=list[int])

    def __bool__(self) -> bool:
        return bool(self.bad)

    def look(self, conversations: Iterable[Conversation]) -> None:
        """Update the counts on which the warnings from `Reading` are based."""
        for conversation in conversations:
            self.ids.append(_digest(conversation.id))
            self.turns += len(conversation.turns)
            self.one_word += sum(_one_word(turn.text) for turn in conversation.turns)
            self.silent += sum(not turn.text.strip() for turn in conversation.turns)
            speakers = {turn.speaker for turn in conversation.turns}
            self.strangers += len(speakers) == len(conversation.turns) >= _MANY_SPEAKERS
            self.longer += len(conversation.turns) >= _SOME_SPEAKERS
            self.each_once += len(speakers) == len(conversation.turns) >= _SOME_SPEAKERS
            self.one_speaker += len(speakers) == 1
            self.one_turn += len(conversation.turns) == 1
            labels = (speaker for speaker in speakers if speaker.casefold() in _LABELS)
            self.label = self.label or min(labels, default=None)
            for turn in conversation.turns:
                if self.sentence is None and _is_sentence(turn.speaker):
                    self.sentence = turn.speaker
                if self.c1 is None and not turn.text.isprintable():
                    self.c1 = next((c for c in turn.text if "\x80" <= c <= "\x9f"), None)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest())


def _one_word(text: str) -> bool:
    """Return whether a turn is certainly a single word, even in a script without spaces."""
    return len(text.split()) == 1 and (text.isascii() or len(text) < 4)


def _is_sentence(speaker: str) -> bool:
    words = speaker.split()
    return len(words) > _SPEAKER_WORDS or (len(words) > 2 and speaker[-1:] in ".!?")


@dataclass
class Reading(_Seen):
    """The findings from one pass over a corpus."""

    bad_rows: BadRows = field(default_factory=BadRows)
    conversations: int = 0
    doubles: int = 0
    _ids: set[int] = field(default_factory=set[int])

    def add(self, findings: Findings) -> None:
        for row in findings.bad:
            self.bad_rows.add(row)
        for digest in findings.ids:
            if digest in self._ids:
                self.doubles += 1
            elif len(self._ids) < _MAX_IDS:
                self._ids.add(digest)
        self.conversations += len(findings.ids)
        self.take(findings)

    def warnings(self) -> list[str]:
        """Return one line per issue that a user should check before trusting the corpus."""
        lines: list[str] = []
        if self.bad_rows.count:
            share = self.bad_rows.count / (self.bad_rows.count + self.conversations)
            much = " (half of all rows or more; is the format right?)" if share >= 1 / 2 else ""
            lines.append(f"{counted(self.bad_rows.count, 'bad row')} left out{much}")
        kinds = self.left_out.most_common()
        if counts := ", ".join(f"{count:,} {kind}" for kind, count in kinds if kind != NESTED):
            lines.append(f"messages left out: {counts}")
        if nested := self.left_out[NESTED]:
            lines.append(f"{counted(nested, NESTED)} left out because of errors")
        if self.silent:
            lines.append(f"{counted(self.silent, 'turn')} without text")
        lines += self._implausible()
        if self.doubles:
            lines.append(
                f"{counted(self.doubles, 'conversation')} with the id of an earlier conversation"
            )
        if self.turns >= _MANY_TURNS and self.one_word == self.turns:
            lines.append("every turn is a single word; is the format right?")
        if self.sentence is not None:
            lines.append(f"a speaker's name looks like a sentence: {self.sentence[:80]!r}")
        if self.label is not None:
            lines.append(
                f"a speaker's name looks like a label: {self.label!r}; is this a conversation?"
            )
        if self.c1 is not None:
            lines.append(
                f"the text contains the control character U+{ord(self.c1):04X}, so it is probably "
                "Windows-1252 text that was decoded as Latin-1"
            )
        return lines

    def _implausible(self) -> list[str]:
        """Return warnings about rows that are probably not conversations, and about conversations
        that are probably split."""
        lines: list[str] = []
        if (strangers := max(self.strangers, self.each_once if self._all_strangers else 0)) > 0:
            lines.append(
                f"{counted(strangers, 'conversation')} with a new speaker in every turn; do all "
                f"rows belong to one conversation?"
            )
        if 2 * self.one_speaker > self.conversations:
            lines.append(
                f"only one speaker in {self.one_speaker:,} of "
                f"{counted(self.conversations, 'conversation')}, and only one turn in "
                f"{self.one_turn:,}; is the format right, and do the rows of a conversation share "
                f"an id?"
            )
        return lines

    @property
    def _all_strangers(self) -> bool:
        return 2 * self.each_once > self.longer
