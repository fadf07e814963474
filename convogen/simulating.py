"""What can go wrong with what a model says in a person's place: pure functions over text.

The failure cases of DialogueForge, section 5.1: refusing to play a person, talking as the chatbot
would, leaving the task. The rates are of later utterances of the 413 OASST1 and 1,002 Chatbot Arena
seeds of that paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["deviates", "echoes", "flips_role", "refuses"]

ECHO_WORDS = 5
"""Words in a row that count as taken over from another utterance."""

CONTENT_WORDS = 3
"""Words with content from which an utterance can be off its topic."""

_AN_AI = r"an? (?:ai|artificial intelligence|chatbot|(?:large )?language model|virtual assistant)\b"
_REFUSAL = re.compile(
    r"\bi(?:(?:[’']| a)?m (?:sorry,? but i(?:[’']| a)?m )?(?:not able|unable) to"
    r"|(?: can(?:not|[’']t| not)| won[’']t| will not))(?: \w+ly)?"
    r" (?:simulate|pretend|role-?play|act as|play|impersonate|continue (?:this|the|with)|engage"
    r"|participate|fulfil|comply|assist|generate|create|provide|help (?:you|with))\b",
    re.IGNORECASE,
)
_CHATBOT = re.compile(
    r"\bhow (?:can|may) i (?:help|assist) you"
    r"|\banything else (?:i can|you(?:[’']d| would) like|you need)"
    r"|\bi(?:[’']| a)?m (?:here|(?:more than )?happy|glad) to (?:help|assist|show|explain|continue)"
    r"|\bi(?:[’']d| would) (?:love|like) to (?:help|assist)|\bi can provide more detailed"
    r"|\bi(?:[’']| woul)?d be (?:happy|glad) to (?:help|assist|explain|provide|answer)"
    r"|\bfeel free to (?:ask|reach out|let me know)"
    r"|\blet me know if you (?:have|need|want|would|[’']?d)\b"
    rf"|\bi(?:[’']| a)m (?:just |only )?{_AN_AI}|\bas {_AN_AI}[^.?!]{{0,40}}\bi\b"
    r"|\A\W*(?:to [^.?!]{1,120}, you(?:[’']ll| will)? (?:can|need)\b|here[’']s how\b"
    r"|you (?:want to|are asking|can use the following)\b|the chatbot\b"
    r"|i[’']m (?:so )?glad (?:that )?i could"
    r"|you[’']re welcome|certainly[!,.]|absolutely!|(?:that[’']s a )?great question"
    r"|(?:sure[!,.] )?here(?:[’']s| is| are) (?:some|a|an) )",
    re.IGNORECASE,
)
_SLIGHT = frozenset(
    "about above after again all also and any anything are because been before being below between"
    " bot both but can chatbot could did does doing down each else even ever every few for from"
    " further get give going good got had has have her here him his how into its itself just know"
    " let like make many may maybe might more most much must need nor not now off once one only"
    " other our out over own please question really right same say see she should show some"
    " something such sure tell than thank thanks that the their them then there these they thing"
    " things think this those through too try under until use using very want was way well were"
    " what when where which while who why will with would write yes yet you your answer asking ask"
    " help don dont can isn didn doesn".split()
)


def refuses(text: str) -> bool:
    """True where the speaker declines to play or to go on (none of 3,254 of real persons)."""
    return _REFUSAL.search(text) is not None


def flips_role(text: str) -> bool:
    """True where the speaker talks as the chatbot (0.2% of real persons', 21% of chatbots')."""
    return _CHATBOT.search(text) is not None


def echoes(text: str, others: Iterable[str]) -> bool:
    """True where half of an utterance is word for word in one of the others (0.7% of real ones)."""
    mine = _runs(text)
    return len(mine) >= ECHO_WORDS and any(
        2 * len(mine & _runs(other)) >= len(mine) for other in others
    )


def deviates(text: str, grounds: Iterable[str], least: int = CONTENT_WORDS) -> bool:
    """True where an utterance has no word with content in common with what it should be about.

    An utterance of fewer such words than `least` may refer back. With the task and what was said
    before as `grounds`: 2.3% of real utterances, 54% of those of another dialogue.
    """
    said = _content(text)
    if len(said) < least:
        return False
    return not any(said & _content(ground) for ground in grounds)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + ECHO_WORDS]) for at in range(len(words) - ECHO_WORDS + 1)}


def _content(text: str) -> set[str]:
    """The stems of its words, without those that are in any text."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return {_stem(word) for word in words if len(word) > 2 and word not in _SLIGHT}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "ly", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)[:6]
    return word[:6]
