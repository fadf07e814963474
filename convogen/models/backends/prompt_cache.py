"""A prompt cache for llama.cpp that never changes a reply.

llama.cpp's matrix kernels round differently for one token than for several, so the cached state of
a token depends on the batch in which the token was evaluated. With llama.cpp's own prompt cache, a
reply therefore depends on earlier and concurrent requests. With this cache, each prompt is
evaluated alone, in batches that begin at multiples of `BATCH`. Only whole batches of earlier
prompts are reused. Tokens in replies are never reused, because they were evaluated one by one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

from convogen.models.backends.faults import Advice, Faults
from convogen.models.backends.transport import Transport
from convogen.redaction import Secrets

__all__ = ["BATCH", "LlamaServer", "PromptCache", "Turns"]

BATCH = 32
"""Number of tokens per batch. Small batches allow more reuse, but slow down large models."""

_WORTH = 0.5
"""Share of a prompt that a slot must contain to be preferred to the least recently used slot."""


class Turns:
    """A first-come, first-served lock for tasks in different event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            turn: Future[None] = Future()
            self._waiting.append(turn)
        try:
            await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            if not turn.cancelled():  # the lock was handed over just before
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._taken = False


@dataclass(frozen=True, slots=True)
class _Slot:
    """The last prompt in a slot, the adapter with which it was evaluated, and the time when the
    slot was last used."""

    tokens: Sequence[int] = ()
    setting: object = None
    used: int = 0

    def shared(self, tokens: Sequence[int], setting: object) -> int:
        """Return the number of tokens that another prompt can reuse, excluding its last token."""
        if self.setting != setting:
            return 0
        pairs = zip(self.tokens[:-1], tokens[:-1], strict=False)
        equal = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return equal // BATCH * BATCH


class LlamaServer:
    """A client for the routes of a llama.cpp server that are not part of the OpenAI API.

    Args:
        url: Address of the server, without `/v1`.
        timeout_s: Time limit for a call in seconds.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        advice = Advice(unreached="run again", refused="", missing="", late="increase timeout_s")
        self._url = url
        self._transport = Transport(
            url,
            {"content-type": "application/json"},
            timeout_s,
            Faults(url, timeout_s, Secrets([]), advice),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def tokens(self, body: Mapping[str, Any]) -> list[int]:
        """Return the tokens of a chat request's prompt, or an empty list if the server refuses the
        request."""
        templated = await self._post("/apply-template", body)
        text = {"content": templated.get("prompt", ""), "add_special": True, "parse_special": True}
        return (await self._post("/tokenize", text)).get("tokens", [])

    async def evaluate(self, slot: int, tokens: Sequence[int], **settings: Any) -> int:
        """Evaluate tokens in a slot; return the number of tokens that the slot already
        contained."""
        at = {"id_slot": slot, "n_predict": 0, **settings}
        answer = await self._post("/completion", {"prompt": list(tokens), **at})
        return answer.get("timings", {}).get("cache_n", 0)

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post a body and return the server's response, or an empty mapping for an error."""
        status, _, answer = await self._transport.post(body, self._url + path)
        return cast("dict[str, Any]", json.loads(answer)) if status == 200 else {}


class PromptCache:
    """The prompt cache of one server, which therefore answers one request at a time.

    Args:
        n_slots: Number of prompts that the server caches.
    """

    def __init__(self, n_slots: int) -> None:
        self.reused = 0
        self.n_requests = 0
        self._turns = Turns()
        self._slots = [_Slot() for _ in range(n_slots)]
        self._unfinished: int | None = None
        self._clock = 0

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count a request in `n_requests` while it is waiting or being answered."""
        self.n_requests += 1
        try:
            yield
        finally:
            self.n_requests -= 1

    @asynccontextmanager
    async def place(
        self, server: LlamaServer, body: Mapping[str, Any]
    ) -> AsyncGenerator[dict[str, Any]]:
        """Wait until the server is free, and prepare a slot for a chat request.

        Args:
            server: Server that evaluates the prompt.
            body: Body of the chat request.

        Yields:
            Fields that select the slot, to add to the request body.
        """
        async with self._turns:
            if self._unfinished is not None:  # a cancelled request may still run: wait for it
                await server.evaluate(self._unfinished, [0], cache_prompt=False)
                self._unfinished = None
            tokens = await server.tokens(body)
            setting = {key: body[key] for key in ("lora",) if key in body}
            index, kept = self._chosen(tokens, setting)
            self._slots[index] = _Slot()
            self._unfinished = index
            if kept:
                kept = await _cut(server, index, tokens[: kept + 1], setting)
            yield {"id_slot": index, "cache_prompt": kept > 0}
            self.reused += kept
            self._clock += 1
            self._slots[index] = _Slot(tokens, setting, self._clock)
            self._unfinished = None

    def _chosen(self, tokens: Sequence[int], setting: object) -> tuple[int, int]:
        """Return the index of a slot for a prompt, and the number of tokens to reuse from it."""
        shared = [slot.shared(tokens, setting) for slot in self._slots]
        index = max(range(len(shared)), key=shared.__getitem__)
        if shared[index] < _WORTH * len(tokens):
            index = min(range(len(shared)), key=lambda each: self._slots[each].used)
        return index, shared[index]


async def _cut(
    server: LlamaServer, index: int, tokens: Sequence[int], setting: Mapping[str, Any]
) -> int:
    """Truncate a slot's cache to `tokens` without the last token; return the number of tokens left.

    To this end, a prompt whose last token differs is sent, so that the server discards that token
    and everything after it. If another request has used the slot, nothing is reused.
    """
    *kept, last = tokens
    other = 1 if last == 0 else 0
    held = await server.evaluate(index, [*kept, other], cache_prompt=True, **setting)
    return len(kept) if held % BATCH == 0 else 0
