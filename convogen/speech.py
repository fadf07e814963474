"""What can be wrong with an utterance: pure functions over text.

The chats use them to ask again or to stop; the metrics use them to count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import fuzz

__all__ = [
    "breaks_role",
    "is_farewell",
    "is_farewell_loop",
    "length_fault",
    "nearest_sentences",
    "repeats",
    "spoken_part",
    "tidy",
    "whole_sentences",
]

REPEAT_SIMILARITY = 0.9
"""Token-sort similarity from which one utterance counts as a repetition of another."""

FAREWELL_TURNS = 3
"""Farewells in a row from which a conversation counts as over."""

LENGTH_TOLERANCE = 0.4
"""How far from the words asked for an utterance may be, as a share of them; 3 words always."""

_FAREWELL = re.compile(
    r"\b(good ?bye|bye(?: bye)?|farewell|see (?:you|ya)|so long|take care|good ?night|"
    r"talk (?:to you )?(?:soon|later)|have a (?:good|great|nice|lovely|wonderful) "
    r"(?:one|day|night|evening|weekend|trip|time))\b",
    re.IGNORECASE,
)
_AS_AI = re.compile(
    r"\b(?:as an? (?:ai|artificial intelligence|language model|large language model|chatbot)"
    r"|i(?:'|’)?(?: a)?m (?:just |only )?an? (?:ai|(?:large )?language model|chatbot|ai assistant)"
    r"|my (?:training data|knowledge cutoff)"
    r"|i (?:cannot|can(?:'|’)t) (?:roleplay|role-play|pretend to be))\b",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“"}


def tidy(reply: str, speaker: str) -> str:
    """The reply without the speaker's name in front and without quotation marks around it."""
    text = reply.strip()
    first_name = speaker.split()[0] if speaker.split() else speaker
    for label in (speaker, first_name):
        for form in (f"{label}:", f"**{label}:**", f"**{label}**:", f"[{label}]:"):
            if text.casefold().startswith(form.casefold()):
                text = text[len(form) :].strip()
    close = _QUOTES.get(text[:1])
    if close and len(text) > 2 and text.endswith(close) and close not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def spoken_part(text: str, others: Sequence[str]) -> str:
    """What comes before a line that another participant is made to say; may be empty."""
    lines = text.split("\n")
    labels = tuple(f"{label}:".casefold() for name in others for label in _labels(name))
    for at, line in enumerate(lines):
        if labels and re.sub(r"[*\[\]]", "", line).strip().casefold().startswith(labels):
            return "\n".join(lines[:at]).strip()
    return text


def whole_sentences(text: str) -> str:
    """A text that was cut off, back to its last whole sentence; all of it where there is none."""
    ends = _sentence_ends(text)
    return text[: ends[-1]] if ends else text


def nearest_sentences(text: str, words: int) -> str:
    """The whole sentences a text begins with whose words come nearest to a number."""
    ends = [*_sentence_ends(text), len(text)]
    return min((text[:end] for end in ends), key=lambda said: abs(len(said.split()) - words))


def length_fault(text: str, words: int) -> str | None:
    """`too_long` or `too_short` where a text is far from the words asked for."""
    off = len(text.split()) - words
    if abs(off) <= max(3, LENGTH_TOLERANCE * words):
        return None
    return "too_long" if off > 0 else "too_short"


def _sentence_ends(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"[.!?…。！？]+[\"'”’)]*(?=\s|\Z)", text)]


def _labels(name: str) -> set[str]:
    return {name, *name.split()[:1]}


def breaks_role(text: str) -> bool:
    """True where the speaker says to be an AI, or refuses to play."""
    return _AS_AI.search(text) is not None


def is_farewell(text: str) -> bool:
    """True where an utterance says goodbye; longer speeches that mention one do not."""
    return len(text.split()) <= 40 and _FAREWELL.search(text) is not None


def is_farewell_loop(utterances: Sequence[str]) -> bool:
    """True where the last turns are all farewells."""
    last = utterances[-FAREWELL_TURNS:]
    return len(last) == FAREWELL_TURNS and all(is_farewell(text) for text in last)


def repeats(text: str, earlier: Sequence[str], threshold: float = REPEAT_SIMILARITY) -> bool:
    """True where an utterance says nearly the same as one of the earlier ones."""
    mine = _plain(text)
    return any(
        fuzz.token_sort_ratio(mine, _plain(other), score_cutoff=100 * threshold) > 0
        for other in earlier
    )


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
