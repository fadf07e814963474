"""Detection of endpoints that silently truncate prompts, as Ollama does at its `num_ctx`."""

from __future__ import annotations

from convogen.models.base import Request
from convogen.records import Usage

__all__ = ["PromptWatch"]

FEWEST_TOKENS = 256
"""Minimum token count of a prompt to examine. No server truncates shorter prompts."""

SAME = 3
"""Number of prompts with different lengths but the same token count that indicates truncation."""

GROWTH = 1.15
"""Minimum ratio of the longest to the shortest of these prompts, measured in characters."""


class PromptWatch:
    """A comparison of prompt lengths with the token counts that one endpoint reports.

    If prompts with different lengths have the same token count, and no prompt has a higher token
    count, the prompts were probably truncated.
    """

    def __init__(self) -> None:
        self._most = 0
        self._lengths = set[int]()
        self._noticed = False

    def notice(self, request: Request, usage: Usage) -> str:
        """Register a reply; return a line for the user if truncation is detected, otherwise "".

        Args:
            request: Request that was answered.
            usage: Token counts that the endpoint reported.
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
            f"characters all count as {tokens:,} tokens, so the server seems to truncate them "
            f"silently; serve the model with a longer context (Ollama: num_ctx or "
            f"OLLAMA_CONTEXT_LENGTH)"
        )
