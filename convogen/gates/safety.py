"""Rejects conversations in which any turn contains an entry of a word list; no model is called.

Texts and entries are normalised: letters of all scripts and look-alikes become lower-case ASCII
without accents, digits and signs that stand for letters are replaced (`sh1t`, `$hit`), stretched
letters are shortened (`fuuuck`), and spaced letters are joined (`f.u.c.k`). Entries match whole
words. An entry that ends in `*` matches all words with that beginning, and an entry of several
words matches the same words in sequence.

A list contains words, not meanings. It misses the same meaning in other words, and it rejects
harmless uses of its words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from anyascii import anyascii
from pydantic import Field

from convogen.errors import SourceError
from convogen.gates.base import Candidate, Gate, Rejection
from convogen.inputs.text_file import read_text
from convogen.models.traffic.session import Session
from convogen.text.segmentation import unspaced_script

__all__ = ["Safety", "WordList", "plain_words"]

SHIPPED = Path(__file__).with_name("words.txt")

_LOOK_ALIKE = str.maketrans(
    "асеорхукмтнвіїјѕԁһԛԝαοερντυικѵ",
    "aceopxykmthbiijsdhqwaoepvtuikv",
)
"""Letters that look like Latin letters but represent other sounds."""

_SIGNS = str.maketrans({"@": "a", "$": "s", "!": "i", "|": "i"})
_SIGNED_WORD = re.compile(r"[a-z0-9@$!|]*[a-z][a-z0-9@$!|]*")
_DIGITS = str.maketrans("0134578", "oieastb")


class Safety(Gate):
    """Parameters of the `safety` gate."""

    name: ClassVar[str] = "safety"
    path_fields: ClassVar[tuple[str, ...]] = ("words",)

    words: str | None = Field(
        default=None,
        description="file with your own word list, one entry per line; # starts a comment",
    )
    shipped: bool = Field(default=True, description="whether to use the shipped English word list")

    @cached_property
    def word_list(self) -> WordList:
        """The entries of all lists.

        Raises `SourceError` if a file cannot be read.
        """
        paths = [SHIPPED] if self.shipped else []
        return WordList([*paths, *([Path(self.words)] if self.words else [])])

    def sources(self) -> dict[str, str]:
        text = "\n".join(sorted(self.word_list.entries))
        return {"list": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        for nth, turn in enumerate(candidate.conversation.turns, 1):
            if (entry := self.word_list.find(turn.text)) is not None:
                return Rejection(
                    f"turn {nth}, {turn.speaker}: {entry!r} is on the word list", entry
                )
        return None


class WordList:
    """The entries of word list files: words, prefixes, and sequences of words.

    An entry in a script without spaces between words matches anywhere.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.entries: dict[str, str] = {}
        self._anywhere: dict[str, str] = {}
        for path in paths:
            lines = _lines(path)
            if not lines:
                raise SourceError(
                    f"gates: safety: {path}: has no entries, so it would reject nothing; add at "
                    "least one entry"
                )
            for line in lines:
                if unspaced_script(line) is not None:
                    self._anywhere.setdefault(line.removesuffix("*").casefold(), line)
                    continue
                words = " ".join(_readings(line.removesuffix("*"))[0])
                if not words:
                    raise SourceError(
                        f"{path}: the entry {line!r} has no letters or digits; remove it"
                    )
                self.entries.setdefault(words + "*" * line.endswith("*"), line)
        self.entries |= self._anywhere
        self._longest = max((entry.count(" ") + 1 for entry in self.entries), default=0)
        self._beginnings = {len(entry) - 1 for entry in self.entries if entry.endswith("*")}

    def find(self, text: str) -> str | None:
        """Return the first entry found in a text, as written in the word list; None if no entry is
        found."""
        folded = text.casefold()
        for entry, line in self._anywhere.items():
            if entry in folded:
                return line
        for words in _readings(text):
            for start in range(len(words)):
                for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                    said = " ".join(words[start:end])
                    for form in (said, *(f"{said[:n]}*" for n in self._beginnings)):
                        if form in self.entries:
                            return self.entries[form]
        return None


def plain_words(text: str) -> list[str]:
    """Return a text's words in lower-case ASCII, with signs and digits that stand for letters
    replaced.

    Digits are replaced only in words that also have letters, so numbers are kept.
    """
    plain = anyascii(text.casefold().translate(_LOOK_ALIKE)).casefold()
    plain = _SIGNED_WORD.sub(_without_signs, plain)
    words = re.findall(r"[a-z0-9]+", plain)
    return [word.translate(_DIGITS) if re.search("[a-z]", word) else word for word in words]


def _without_signs(word: re.Match[str]) -> str:
    return re.sub(r"[@$!|](?=[a-z0-9])", lambda sign: sign[0].translate(_SIGNS), word[0])


def _readings(text: str) -> list[list[str]]:
    """Return the readings of a text: its words, its words with spaced letters joined, and the
    latter with stretched letters shortened.

    Three or more identical letters in a row may stand for one or two.
    """
    words = plain_words(text)
    joined = list(_joined(words))
    cut = [[re.sub(r"(.)\1{2,}", kept, word) for word in joined] for kept in (r"\1\1", r"\1")]
    readings = [words, joined, *cut]
    return [one for nth, one in enumerate(readings) if one not in readings[:nth]]


def _joined(words: list[str]) -> Iterator[str]:
    """Yield words, joining runs of three or more single letters into one word."""
    row: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1:
            row.append(word)
            continue
        yield from ["".join(row)] if len(row) > 2 else row
        row = []
        if word:
            yield word


def _lines(path: Path) -> list[str]:
    lines = read_text(path, f"gates: safety: {path}").splitlines()
    told = (line.partition("#")[0].strip() for line in lines)
    return [line for line in told if line]
