"""The failures of a role play, each a pure function of what was said (LLM Roleplay, section 3.3).

The paper's are: no prompt in double quotes, several of them, an incoherent inquirer, an incoherent
responder (algorithm 2), an inquirer that answers itself, a stopping criterion that is not met. It
left open two that thank each other without end.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from convogen.methods.roleplay_reading import extract_prompt, quoted_texts, stops
from convogen.speech import is_farewell

__all__ = [
    "FAILURES",
    "Family",
    "faults_of_prompt",
    "is_incoherent",
    "is_self_reply",
    "is_thanks",
    "misses_stop",
    "thanks_without_end",
]

FAILURES = {
    "no_prompt": "no prompt in double quotes",
    "several_prompts": "several prompts",
    "incoherent_inquirer": "incoherent output of the inquirer",
    "self_reply": "the inquirer answers itself",
    "stop_missed": "stopping criterion missed",
    "incoherent_responder": "incoherent output of the responder",
    "thanking": "mutual thanking without end",
}
"""Name -> what it is; all but the last two are of an inquirer's output."""

THANKING_TURNS = 2
"""Turns in a row of nothing but thanks, by both, from which a dialogue is over."""

_THANKS = re.compile(
    r"\b(thank(?:s| you)|much appreciated|i (?:really )?appreciate|you(?:'|’)?(?: a)?re welcome|"
    r"my pleasure|no problem|any ?time|glad (?:i|to|that i|we)\b[^.!?]*\b(?:help|hear|useful)\w*|"
    r"life ?saver|happy to help|don(?:'|’)t mention it|best of luck|good luck)\b",
    re.IGNORECASE,
)
_REACHED = re.compile(
    r"\b(?:i(?:'|’)?(?:ve| have)|we(?:'|’)?(?:ve| have)|my goal (?:is|has been)|goal)\b"
    r"[^.!?\n]{0,40}\b(?:accomplished|achieved|reached|met|got (?:all|everything) i need)",
    re.IGNORECASE,
)
_THANKS_WORDS = 40


@dataclass(frozen=True, slots=True)
class Family:
    """What is particular to a kind of model.

    `system` says whether it takes a system message, `special_tokens` are what its chat template
    puts around messages, `max_n` and `r` the parameters of algorithm 2, `few_shot` whether its
    prompts show what a prompt looks like.
    """

    system: bool
    special_tokens: tuple[str, ...]
    max_n: int
    r: int
    few_shot: bool = False


def is_incoherent(text: str, max_n: int, r: int) -> bool:
    """Algorithm 2: a sequence of 2 to `max_n` words that comes again and again.

    An n-gram counts where it equals the one before it, or the one n before it, and where before it
    stand either r equal n-grams in a row, or r equal ones at distances of n.
    """
    words = text.split()
    for n in range(2, max_n + 1):
        grams = list(zip(*(words[at:] for at in range(n)), strict=False))
        for at in range(max(r, n), len(grams)):
            if grams[at] not in (grams[at - 1], grams[at - n]):
                continue
            if _alike(grams[at - r : at]) or (at >= r * n and _alike(grams[at - r * n : at : n])):
                return True
    return False


def _alike(items: Sequence[Hashable]) -> bool:
    return len(set(items)) == 1


def is_self_reply(output: str, special_tokens: Sequence[str]) -> bool:
    """True where the responder's special tokens stand in the inquirer's output.

    A token that ends in a colon is a label: it counts at the beginning of a line alone.
    """
    lines = [line.lstrip(" *#_") for line in output.splitlines()]
    return any(
        any(line.startswith(token) for line in lines)
        if token[0].isalpha() and token.endswith(":")
        else token in output
        for token in special_tokens
    )


def misses_stop(output: str, token: str) -> bool:
    """True where an inquirer only thanks, or says to have what it wanted, without the token."""
    said = extract_prompt(output) or output
    if stops(output, token) or "?" in said:
        return False
    return is_thanks(said) or _REACHED.search(said) is not None


def is_thanks(text: str) -> bool:
    """True where a short text thanks, takes thanks or takes leave, and asks nothing."""
    if "?" in text or len(text.split()) > _THANKS_WORDS:
        return False
    return _THANKS.search(text) is not None or is_farewell(text)


def thanks_without_end(utterances: Sequence[str]) -> bool:
    """True where the last turns, prompts and responses in turn, are nothing but thanks."""
    last = utterances[-2 * THANKING_TURNS :]
    return len(last) == 2 * THANKING_TURNS and all(is_thanks(text) for text in last)


def faults_of_prompt(output: str, token: str, asks: Family, answers: Family) -> list[str]:
    """The names of all failures in an inquirer's output, in the order of `FAILURES`.

    `asks` is the inquirer's kind, `answers` the responder's. One that stops is none.
    """
    texts = quoted_texts(output)
    found = {
        "no_prompt": not texts and not stops(output, token),
        "several_prompts": len(texts) > 1,
        "incoherent_inquirer": is_incoherent(output, asks.max_n, asks.r),
        "self_reply": is_self_reply(output, answers.special_tokens),
        "stop_missed": misses_stop(output, token),
    }
    return [name for name, failed in found.items() if failed]
