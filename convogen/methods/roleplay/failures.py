"""Detectors for failures in role plays, all pure functions of the text (LLM Roleplay, section 3.3).

The paper lists six failures: no prompt in double quotes, several prompts, an incoherent inquirer,
an incoherent responder (both by algorithm 2), an inquirer that answers itself, and a missed
stopping criterion. Endless mutual thanks, which the paper does not mention, are detected as well.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from convogen.methods.roleplay.reading import extract_prompt, quoted_spans, stops
from convogen.methods.roleplay.thanks import is_thanks, says_done

__all__ = [
    "FAILURES",
    "Family",
    "before_reply",
    "faults_of_prompt",
    "goes_round",
    "is_incoherent",
    "misses_stop",
    "self_reply_at",
    "special_tokens",
    "thanks_without_end",
]

FAILURES = {
    "no_prompt": "no prompt in double quotes",
    "several_prompts": "several prompts",
    "incoherent_inquirer": "incoherent output of the inquirer",
    "self_reply": "the inquirer answers itself",
    "stop_missed": "stopping criterion missed",
    "incoherent_responder": "incoherent output of the responder",
    "thanking": "endless mutual thanks",
}
"""Maps the names of failures to descriptions; all failures but the last two concern the inquirer's
output.
"""

THANKING_TURNS = 2
"""A dialogue ends after this number of consecutive turns in which both speakers only give thanks.
"""

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)

_LABEL_EDGES = " *#_\r\n"


@dataclass(frozen=True, slots=True)
class Family:
    """The properties of a model family.

    `system` says whether models of the family accept a system message. `special_tokens` are the
    tokens that the family's chat template puts around messages. `max_n` and `r` are the parameters
    of algorithm 2. `few_shot` says whether prompts for the family contain few-shot examples.
    """

    system: bool
    special_tokens: tuple[str, ...]
    max_n: int
    r: int
    few_shot: bool = False


def is_incoherent(text: str, max_n: int, r: int) -> bool:
    """Return whether a sequence of 2 to `max_n` words keeps repeating (algorithm 2).

    An n-gram counts as repeating if it equals the n-gram that starts one or n words earlier, and if
    it is preceded by r equal n-grams, either at consecutive positions or n positions apart.
    """
    words = text.split()
    for n in range(2, max_n + 1):
        grams = list(zip(*(words[index:] for index in range(n)), strict=False))
        for index in range(max(r, n), len(grams)):
            if grams[index] not in (grams[index - 1], grams[index - n]):
                continue
            if _alike(grams[index - r : index]) or (
                index >= r * n and _alike(grams[index - r * n : index : n])
            ):
                return True
    return False


def goes_round(text: str, family: Family) -> bool:
    """Return whether algorithm 2 finds the prose of a text incoherent.

    Fenced code and words that consist only of punctuation (such as table rules) are ignored, since
    they repeat by nature; the paper includes them. The result decides which outputs are regenerated
    and which dialogues end. The failure counts use algorithm 2 without these exclusions.
    """
    words = _FENCED.sub("\n", text).split()
    said = " ".join(word for word in words if any(map(str.isalnum, word)))
    return is_incoherent(said, family.max_n, family.r)


def _alike(items: Sequence[Hashable]) -> bool:
    return len(set(items)) == 1


def special_tokens(asks: Family, answers: Family) -> tuple[str, ...]:
    """Return the special tokens in the chat templates of the inquirer and of the responder.

    The inquirer's own tokens count too, since an inquirer may also answer itself in its own
    template. In the paper, the responder is Llama-2, but Vicuna's self-replies are recognised by
    "### Human:".
    """
    return tuple(dict.fromkeys((*answers.special_tokens, *asks.special_tokens)))


def self_reply_at(output: str, tokens: Sequence[str]) -> int | None:
    """Return the position of the special token at which an inquirer begins to answer itself; None
    if there is no self-reply.

    Tokens within the first quoted text do not count, since that text is the prompt to the chatbot.
    A token that ends in a colon is a label. A label does not count at the very beginning of the
    output. Unless the label is in capitals, it counts only at the beginning of a line.
    """
    begin, end = next(iter(quoted_spans(output, most=1)), (0, 0))
    first = len(output) - len(output.lstrip(_LABEL_EDGES))
    positions = (
        match.start()
        for token in tokens
        for match in _place_of(token).finditer(output)
        if not begin <= match.start("token") < end
        and not (_is_label(token) and match.start("token") == first)
    )
    return min(positions, default=None)


def before_reply(output: str, tokens: Sequence[str]) -> str:
    """Return the part of an output before a self-reply; the whole output if that part is empty."""
    return output[: self_reply_at(output, tokens)].strip() or output


def _is_label(token: str) -> bool:
    return token[0].isalpha() and token.endswith(":")


@lru_cache(maxsize=64)
def _place_of(token: str) -> re.Pattern[str]:
    before = ""
    if _is_label(token):
        at_line = rf"(?m:^)[{re.escape(_LABEL_EDGES[:-2])}]*"
        before = r"(?<!\w)" if token.isupper() else at_line
    return re.compile(f"{before}(?P<token>{re.escape(token)})")


def misses_stop(output: str, token: str, language: str = "en") -> bool:
    """Return whether an inquirer only gives thanks, or says that it is done, but omits the stop
    token."""
    said = extract_prompt(output) or output
    if stops(output, token) or "?" in said:
        return False
    return is_thanks(said, language) or says_done(said, language)


def thanks_without_end(utterances: Sequence[str], language: str = "en") -> bool:
    """Return whether the last utterances, alternately prompts and responses, only give thanks."""
    last = utterances[-2 * THANKING_TURNS :]
    return len(last) == 2 * THANKING_TURNS and all(is_thanks(text, language) for text in last)


def faults_of_prompt(
    output: str, token: str, asks: Family, answers: Family, language: str = "en"
) -> list[str]:
    """Return the names of all failures in an inquirer's output, in the order of `FAILURES`.

    `asks` is the inquirer's model family, and `answers` is the responder's model family. An output
    that stops the dialogue needs no prompt. `language` determines which patterns detect thanks.
    """
    tokens = special_tokens(asks, answers)
    own, n_texts = before_reply(output, tokens), len(quoted_spans(output))
    faults = {
        "no_prompt": not n_texts and not stops(own, token),
        "several_prompts": n_texts > 1,
        "incoherent_inquirer": is_incoherent(output, asks.max_n, asks.r),
        "self_reply": self_reply_at(output, tokens) is not None,
        "stop_missed": misses_stop(own, token, language),
    }
    return [name for name, failed in faults.items() if failed]
