r"""Scripts: lines of the form `Speaker: text`.

All lines together determine which colons follow a speaker. A line ends with `\n`, `\r\n` or `\r`;
Unicode's other line separators are part of the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convogen.corpora.rows import RowError
from convogen.records import Turn

__all__ = ["Line", "candidate", "labelled_texts", "script_turns"]

ROLES = frozenset(
    "user assistant human bot agent customer client system speaker interviewer interviewee host "
    "guest me you ai gpt model narrator doctor patient a b m w f".split()
)
"""Labels that name speakers even if they are in lower case."""

_LINE = re.compile(r"\s*(?P<who>[^\s:：][^:：\n]{0,79}?)(?P<colon>[:：])(?P<text>.*)", re.DOTALL)
_STARRED = re.compile(
    r"\s*[*_][*_\s]*(?P<who>[^\s:：*_][^:：\n*]{0,79}?)"
    r"(?:[*_\s]*[*_]\s*(?P<colon>[:：])|(?P<inner>[:：])\s*[*_][*_ ]*|(?P<last>[:：])(?=.*\*\s*$))"
    r"\s*(?P<text>.*?)[*\s]*",
    re.DOTALL,
)
"""A line in bold or italics, or a line with only its speaker in bold or italics."""
_RULE = re.compile(r"[\s*_=~-]+")
"""A horizontal rule."""
_MAX_WORDS = 6
_NO_NAME = re.compile(r"[-–—•*>\"'“”‘’(/\\=+]|\d+[.)]\s|https?$|www\.", re.IGNORECASE)
_FACE = re.compile(r"[)(\]DPpO/|*3](?:\s|$)|[-'][)(DP]")
_SENTENCE = re.compile(r"[!?;]|\.\s+[a-z]|[a-z]{3,}\.$")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may begin with a speaker; `spaced` is true if a space follows the colon."""

    who: str
    text: str
    spaced: bool


def candidate(line: str) -> Line | None:
    """Return a line's parts if the text before its first colon can be a speaker's name; else
    None."""
    starred = _STARRED.fullmatch(line)
    match = starred or _LINE.fullmatch(line)
    if match is None:
        return None
    who, text = match["who"].strip(), match["text"]
    wide = starred is not None or match["colon"] == "：" or not text or text[0].isspace()
    if text.startswith("//") or (who[-1].isdigit() and text[:1].isdigit()):
        return None  # a URL or a time of day
    if not wide and _FACE.match(text):
        return None
    if len(who.split()) > _MAX_WORDS or _NO_NAME.match(who) or _SENTENCE.search(who):
        return None
    return Line(who, text.strip(), wide)


def script_turns(text: str) -> list[Turn]:
    """Return the turns in a script; a line without a speaker continues the previous turn.

    The text before a colon counts as a speaker if the space after the colon and the case of the
    text match those of the first speaker. Case is ignored if the text occurs more than once or is a
    known role.

    Raises:
        RowError: if the first line names no speaker.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = ["" if _RULE.fullmatch(line) else line for line in lines]
    candidates = [candidate(line) for line in lines]
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return []
    opening = candidates[first]
    if opening is None:
        raise RowError(
            f"the first line must have the form 'Speaker: text': {lines[first].strip()[:60]!r}"
        )
    counts = Counter(line.who for line in candidates if line is not None)
    turns: list[tuple[str, list[str]]] = []
    for line, parts in zip(lines[first:], candidates[first:], strict=True):
        if parts is not None and _speaks(parts, opening, counts):
            turns.append((parts.who, [parts.text]))
        else:
            turns[-1][1].append(line.strip())
    return [Turn(speaker=who, text="\n".join(said).strip()) for who, said in turns]


def _speaks(line: Line, opening: Line, counts: Counter[str]) -> bool:
    who = line.who
    if opening.spaced and not line.spaced:
        return False
    small = who[0].islower() and not opening.who[0].islower()
    return counts[who] > 1 or not small or who.casefold() in ROLES


def labelled_texts(texts: Sequence[Any]) -> list[Turn]:
    """Return one turn per string if all strings begin with a speaker, or else an empty list."""
    found = [candidate(text) if isinstance(text, str) else None for text in texts]
    lines = [line for line in found if line is not None and line.spaced]
    speakers = {line.who for line in lines}
    if not lines or len(lines) < len(texts) or (len(speakers) == len(lines) > 2):
        return []
    return [Turn(speaker=line.who, text=line.text) for line in lines]
