"""Notices endpoints that cut prompts silently, as Ollama does at its `num_ctx`."""

from __future__ import annotations

from convogen.models.base import Request
from convogen.records import Usage

__all__ = ["PromptWatch"]

FEWEST_TOKENS = 256
"""Prompts shorter than this are cut by no server."""

SAME = 3
"""Prompts of different lengths that have to be counted alike."""

GROWTH = 1.15
"""How much longer the longest of them has to be than the shortest, in characters."""


class PromptWatch:
    """Compares the lengths of prompts with what one endpoint counts of them.

    Longer prompts that are all counted as the same number of tokens, and none as more, were cut.
    """

    def __init__(self) -> None:
        self._most = 0
        self._lengths = set[int]()
        self._noticed = False

    def notice(self, request: Request, usage: Usage) -> str:
        """Take note of an answer; returns a line for the user once prompts are seen to be cut.

        Args:
            request: What was asked.
            usage: What the endpoint counted.
        """
        tokens, length = usage.prompt_tokens, sum(len(one.content) for one in request.messages)
        if self._noticed or tokens < max(FEWEST_TOKENS, self._most):
            return ""
        if tokens > self._most:
            self._most, self._lengths = tokens, set[int]()
        self._lengths.add(length)
        if len(self._lengths) < SAME or max(self._lengths) < GROWTH * min(self._lengths):
            return ""
        self._noticed = True
        return (
            f"{request.model}: prompts of {min(self._lengths):,} to {max(self._lengths):,} "
            f"characters all count as {tokens:,} tokens: the server seems to cut them without a "
            "word; serve it with a longer context (Ollama: num_ctx, or OLLAMA_CONTEXT_LENGTH)"
        )
