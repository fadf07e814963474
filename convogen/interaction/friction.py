"""Friction: behaviours that keep a conversation from running smoothly, detected by rules.

The behaviours are those of conversation analysis: interruption and backchannel (Sacks, Schegloff
and Jefferson, 1974), self-repair, repair requests and third-position repair of misunderstandings
(Schegloff, Jefferson and Sacks, 1977), and dispreferred responses (disagreement, refusal, evasion,
silence, topic changes, complaints, hedges and hesitation). The rules use the words of a turn, the
previous turn, and the turn that is replied to. They do not detect irony.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convogen.interaction.addressing import Address
from convogen.interaction.patterns import BEHAVIOURS, Behaviour, Patterns
from convogen.interaction.utterances import Utterance

__all__ = ["CUT_OFF", "friction"]

CUT_OFF = re.compile(r"[\w,'’]\s?(?:—|–|-{1,3})[\"'”’]*\Z")
"""Matches the end of a turn that breaks off."""

_ECHO_WORDS = 4


def friction(
    speakers: Sequence[str],
    said: Sequence[Utterance],
    found: Sequence[Address],
    patterns: Patterns,
) -> list[frozenset[Behaviour]]:
    """Return the behaviours in each turn.

    Args:
        speakers: The speaker of each turn.
        said: The parsed turns.
        found: The address of each turn.
        patterns: The patterns of the conversation's language.
    """
    result: list[frozenset[Behaviour]] = []
    for index, turn in enumerate(said):
        context = _context(index, speakers, said, found, patterns)
        matches = {name: patterns.friction[name].match(turn) for name in BEHAVIOURS}
        for name, holds in _IN_CONTEXT.items():
            matches[name] = holds(matches[name], turn, context)
        result.append(frozenset(name for name in BEHAVIOURS if matches[name]))
    return result


@dataclass(frozen=True, slots=True)
class _Context:
    """The context of a turn.

    Attributes:
        before: The preceding turn, if it is by another speaker; otherwise None.
        replied: The turn that is replied to, if any.
        asked: The turn that is replied to, if it asks this speaker a question; otherwise None.
        patterns: The patterns of the language.
    """

    before: Utterance | None
    replied: Utterance | None
    asked: Utterance | None
    patterns: Patterns


def _context(
    index: int,
    speakers: Sequence[str],
    said: Sequence[Utterance],
    found: Sequence[Address],
    patterns: Patterns,
) -> _Context:
    before = said[index - 1] if index and speakers[index - 1] != speakers[index] else None
    reply = found[index].reply_to
    if reply is None:
        return _Context(before, None, None, patterns)
    replied = said[reply]
    to_speaker = replied.asks and speakers[index] in found[reply].to
    return _Context(before, replied, replied if to_speaker else None, patterns)


def _interrupts(matches: bool, turn: Utterance, context: _Context) -> bool:
    before = context.before
    return matches or (before is not None and CUT_OFF.search(before.text) is not None)


def _disagrees(matches: bool, turn: Utterance, context: _Context) -> bool:
    return matches and context.replied is not None


def _requests_repair(matches: bool, turn: Utterance, context: _Context) -> bool:
    return context.replied is not None and (matches or _echoes(turn, context.replied))


def _echoes(turn: Utterance, replied: Utterance) -> bool:
    """Return whether a turn is a short question that repeats a word from the turn that it replies
    to."""
    if not turn.plain.endswith("?") or len(turn.tokens) > _ECHO_WORDS:
        return False
    content = [word for word in turn.tokens if len(word) > 2]
    return bool(content) and content[0] in replied.words


def _evades(matches: bool, turn: Utterance, context: _Context) -> bool:
    return matches and context.asked is not None


def _is_silent(matches: bool, turn: Utterance, context: _Context) -> bool:
    return matches or (
        context.asked is not None and context.patterns.minimal.search(turn.plain) is not None
    )


def _is_backchannel(matches: bool, turn: Utterance, context: _Context) -> bool:
    return matches and context.asked is None and context.replied is not None


def _refuses(matches: bool, turn: Utterance, context: _Context) -> bool:
    if matches or context.asked is None:
        return matches and context.replied is not None
    patterns = context.patterns
    declined = patterns.declines.search(turn.plain) is not None
    return declined and patterns.requests.search(context.asked.plain) is not None


_IN_CONTEXT: dict[Behaviour, Callable[[bool, Utterance, _Context], bool]] = {
    "interruption": _interrupts,
    "disagreement": _disagrees,
    "repair_request": _requests_repair,
    "evasion": _evades,
    "silence": _is_silent,
    "backchannel": _is_backchannel,
    "refusal": _refuses,
}
