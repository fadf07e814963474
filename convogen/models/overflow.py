"""Parser for the token counts in refusals of requests that exceed a model's context."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Overflow", "read_overflow"]

_N = r"(\d[\d,_]{0,11})"

_WINDOW = (
    rf"context limit: \d+ \+ \d+ > {_N}",
    rf"tokens > {_N} maximum",
    rf"\b{_N} maximum context length",
    rf"\b(?:context|model)(?:['’]s)? (?:length|size|window|limit)\D{{0,40}}{_N}",
    rf"\bmust be <= {_N}",
    rf"\bmust have less than {_N} tokens",
    rf"\bmaximum number of (?:input )?tokens\D{{0,30}}{_N}",
    rf"\bn_ctx\W{{1,4}}{_N}",
)
"""Patterns for the maximum number of tokens in the prompt and the reply together."""

_PROMPT = (
    rf"context limit: {_N} \+",
    rf"\b{_N} (?:tokens )?(?:in|from) (?:the|your) (?:input )?(?:messages|prompt)",
    rf"\b{_N} input tokens",
    rf"\bmessages resulted in {_N} tokens",
    rf"\bGiven: {_N}",
    rf"\b(?:prompt|input|request|requested tokens) \((?:length )?{_N}",
    rf"\bprompt (?:contains|has) {_N} tokens",
    rf"\btoo long: {_N} tokens",
    rf"\btoken count \({_N}",
    rf"\bfirst {_N} tokens",
    rf"\bn_prompt_tokens\W{{1,4}}{_N}",
)
"""Patterns for the number of tokens in the prompt alone."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Token counts that a refusal states; None for a count that the refusal does not state.

    Attributes:
        window: Maximum number of tokens in the prompt and the reply together.
        prompt: Number of tokens in the refused prompt, or a lower bound on it.
    """

    window: int | None
    prompt: int | None


def read_overflow(detail: str) -> Overflow:
    """Return the token counts that the text of a refusal states."""
    return Overflow(_first(_WINDOW, detail), _first(_PROMPT, detail))


def _first(patterns: tuple[str, ...], detail: str) -> int | None:
    for pattern in patterns:
        if found := re.search(pattern, detail[:4000], re.IGNORECASE):
            return int(re.sub(r"\D", "", found[1]))
    return None
