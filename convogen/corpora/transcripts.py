"""Readers for text files: scripts, meeting transcripts, WhatsApp exports and numbered lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from convogen.corpora.base import Reader
from convogen.corpora.rows import Row, RowError
from convogen.corpora.script import candidate, script_turns
from convogen.corpora.turns import conversation, text_of
from convogen.records import Conversation, Turn

__all__ = ["Numbered", "Transcript", "WhatsApp"]

_TIME = r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?"
_STAMP = re.compile(rf"\s*[\[(<]?\s*{_TIME}(?:\s*-+>?\s*{_TIME})?\s*[\])>]?\s*[-–]?\s*")
_STAMP_BEHIND = re.compile(rf"^([^:\n]{{1,60}}?)\s*[\[(]{_TIME}[\])]\s*:?\s*(?=\S|$)")
_VOICE = re.compile(r"<v(?:\.\S+)? ([^>]{1,80})>(.*?)(?:</v>)?$", re.DOTALL)
_NICK = re.compile(r"<[@+ ]?([^<>\s/][^<>/]{0,30})>\s+(\S.*)", re.DOTALL)
"""A line in an IRC log."""
_HEADING = re.compile(rf"\s*([^\W\d][^:\n]{{0,58}}?)\s+[\[(]?{_TIME}[\])]?\s*")
"""A line with only a speaker and a time, as in transcripts by Zoom and Otter."""
_FRAME = re.compile(rf"WEBVTT.*|NOTE\b.*|\d+|{_TIME}\s*-->.*")
"""The lines that WebVTT and SubRip put around the text."""

_MOST, _SOME = 0.6, 0.2
"""Minimum shares of a script's lines that must name a speaker. The lower share applies if most
speakers recur or most lines have timestamps."""

_DAY = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_CLOCK = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f]?[AaPp]\.?\s?[Mm]\.?)?"
_WHATSAPP = re.compile(
    rf"[\u200e\u200f\ufeff]*\[?{_DAY},?\s+(?:um\s+)?{_CLOCK}\]?\s*(?:[-–]\s*)?(?P<rest>.*)",
    re.DOTALL,
)
_MEDIA = re.compile(r"<[^<>]{3,40}>|.*\.\w{3,4} \([^()]{3,40}\)")

_NUMBERED = re.compile(r"(\d{1,6})[ \t.)]+([^\t]{1,60})\t([^\t]+)")


class Transcript(Reader):
    """A script with one `Speaker: text` per line, with or without timestamps, or a WebVTT or SubRip
    file."""

    name: ClassVar[str] = "script"
    about: ClassVar[str] = "text, one 'Speaker: text' per line, with or without timestamps"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and candidate(_bare(value)) is not None

    def share(self, rows: Sequence[Row]) -> float:
        """Return the share of lines that name a speaker, or 0 for prose.

        In a script, most lines name a speaker, or else some lines name a speaker, and most speakers
        recur or most lines have timestamps.
        """
        lines = [_bare(row.value) for row in rows if _is_line(row.value)]
        found = [candidate(line) for line in lines]
        if not found or found[0] is None:
            return 0.0
        speakers = Counter(line.who for line in found if line is not None)
        again = sum(count for count in speakers.values() if count > 1)
        share = speakers.total() / len(lines)
        stamped = sum(_bare(row.value) != row.value for row in rows if _is_line(row.value))
        named = 2 * max(again, stamped) >= speakers.total()
        script = share > _MOST or (share >= _SOME and named)
        return share if script else 0.0

    def prepare(self, rows: Sequence[Row]) -> None:
        """Determine whether blank lines separate conversations or only turns."""
        starts: dict[int, bool] = {}
        speakers: Counter[int] = Counter()
        for row in rows:
            if not _frame(row.value):
                starts.setdefault(row.part, self.fits(row.value))
                speakers[row.part] += self.fits(row.value)
        several = sum(count > 1 for count in speakers.values())
        self.parts = all(starts.values()) and 2 * several > len(speakers)

    def breaks(self, previous: Any, value: Any) -> bool:
        return False

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        lines = [text_of(row.value, "the row") for row in rows]
        said = "\n".join(_bare(line) for line in lines if not _frame(line))
        return [conversation(fallback, script_turns(said), {})]


def _is_line(line: Any) -> bool:
    return isinstance(line, str) and not _frame(line)


def _frame(line: Any) -> bool:
    return isinstance(line, str) and _FRAME.fullmatch(line.strip()) is not None


def _bare(line: str) -> str:
    """Return a line without its timestamp, beginning with its speaker."""
    line = line.removeprefix("\ufeff")
    stamp = _STAMP.match(line)
    nick = _NICK.fullmatch(line[stamp.end() if stamp else 0 :].strip())
    if nick is not None:
        return f"{nick[1]}: {nick[2]}"
    if stamp is not None and candidate(line[stamp.end() :]) is not None:
        return line[stamp.end() :]
    voice = _VOICE.fullmatch(line.strip())
    if voice is not None:
        return f"{voice[1].strip()}: {voice[2].strip()}"
    line = line.removesuffix("</v>")
    behind = _STAMP_BEHIND.match(line) or _HEADING.fullmatch(line)
    return f"{behind[1].strip()}: {line[behind.end() :]}" if behind is not None else line


class WhatsApp(Reader):
    """A chat exported from WhatsApp on Android or iOS, which is a single conversation."""

    name: ClassVar[str] = "whatsapp"
    about: ClassVar[str] = "a chat exported from WhatsApp"
    parts = False

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and _WHATSAPP.fullmatch(value) is not None

    def breaks(self, previous: Any, value: Any) -> bool:
        return False

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the participants' turns; notices and omitted media are only counted."""
        turns: list[tuple[str, list[str]]] = []
        left_out: Counter[str] = Counter()
        goes_on = False
        for line, value, _ in rows:
            text = text_of(value, "the row")
            match = _WHATSAPP.fullmatch(text)
            if match is None:
                if goes_on:
                    turns[-1][1].append(text.strip())
                elif not left_out:
                    raise RowError("the first line must begin with a date and a time", line)
                continue
            who, colon, said = match["rest"].lstrip("~\u200e ").partition(": ")
            said = said.strip()
            kind = "" if colon else "notice"
            if colon and (said.startswith("\u200e") or _MEDIA.fullmatch(said)):
                kind = "media"
            goes_on = not kind
            if kind:
                left_out[kind] += 1
            else:
                turns.append((who.strip(), [said]))
        spoken = [Turn(speaker=who, text="\n".join(said)) for who, said in turns]
        return [conversation(fallback, spoken, {}, left_out=left_out)]


class Numbered(Reader):
    """Lines with a number, a speaker, a tab and a text."""

    name: ClassVar[str] = "numbered"
    about: ClassVar[str] = "text, one 'number speaker⇥text' per line"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and _NUMBERED.fullmatch(value) is not None

    def share(self, rows: Sequence[Row]) -> float:
        """Return the share of rows in this format; the share is 0 unless the texts before the tabs
        look like names and some of these names recur."""
        found = [_NUMBERED.fullmatch(row.value) for row in rows if isinstance(row.value, str)]
        names = [match[2].strip() for match in found if match is not None]
        short = all(len(name.split()) < 3 and name[-1] not in ".!?" for name in names if name)
        comes_again = len(set(names)) < len(names)
        return super().share(rows) if short and comes_again and "__SILENCE__" not in names else 0.0

    def breaks(self, previous: Any, value: Any) -> bool:
        one, other = _NUMBERED.fullmatch(str(previous)), _NUMBERED.fullmatch(str(value))
        return one is not None and other is not None and int(other[1]) <= int(one[1])

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        turns: list[Turn] = []
        for line, value, _ in rows:
            match = _NUMBERED.fullmatch(text_of(value, "the row"))
            if match is None:
                raise RowError("the line must have a number, a speaker, a tab and a text", line)
            turns.append(Turn(speaker=match[2].strip(), text=match[3].strip()))
        return [conversation(fallback, turns, {})]
