"""AutoGen's runtime without tracing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from autogen_core import SingleThreadedAgentRuntime

__all__ = ["UntracedRuntime"]


class UntracedRuntime(SingleThreadedAgentRuntime):
    """Delivers the messages of one chat without tracing or logging them.

    AutoGen opens a tracing span around each step of each delivery, and serialises every message as
    JSON for the span and for its event log, even if nothing consumes them. convogen records its
    model calls in its own ledger.
    """

    def __init__(self) -> None:
        super().__init__(ignore_unhandled_exceptions=False)
        untraced: Any = _Untraced()
        self._tracer_helper = untraced

    def _try_serialize(self, message: Any) -> str:
        return ""

    async def _create_otel_attributes(self, *what: Any, **named: Any) -> Mapping[str, str]:
        return {}


class _Untraced:
    """Replaces AutoGen's `TraceHelper` and does nothing."""

    def trace_block(self, *what: Any, **named: Any) -> nullcontext[None]:
        return nullcontext()
