"""A test endpoint in a process of its own: an OpenAI-compatible server that is no language model.

    python -m benchmarks.endpoint [--settings JSON] [--port N]

It answers on 127.0.0.1 until its standard input ends. What it says follows from the request alone;
how long it takes and which fault a request meets follow from the request, how often it came before
and the seed. So a run meets the same faults whatever the order in which its calls arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import re
import socket
import struct
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

from aiohttp import web

from convogen.generation.experience_generator import draft_schema
from convogen.models.backends.scripted import improvise
from convogen.models.base import Message, Request, Sampling

__all__ = ["Endpoint", "Faults", "Settings", "reply_to"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests that meet a fault, each 0 to 1, together at most 1.

    `rate_limited` is status 429 and `server_error` 500; a `stall` lasts `Settings.stall_s`; after
    a `reset` nothing came; `invalid_json` and `truncated` are broken bodies, the latter ends
    before its length is reached; `empty` is a reply without words; a `trickle` comes byte by byte
    and takes as long as a stall.
    """

    rate_limited: float = 0.0
    server_error: float = 0.0
    stall: float = 0.0
    reset: float = 0.0
    invalid_json: float = 0.0
    truncated: float = 0.0
    empty: float = 0.0
    trickle: float = 0.0

    def drawn(self, point: float) -> str | None:
        """The fault at a point between 0 and 1; None beyond all of them."""
        for each in fields(self):
            point -= getattr(self, each.name)
            if point < 0:
                return each.name
        return None


@dataclass(frozen=True, slots=True)
class Settings:
    """How an endpoint behaves; None is no bound.

    A reply takes `latency_s`, lognormal around it where `spread` (the standard deviation of its
    logarithm) is not 0, and `token_s` more for each token. `slots` requests are worked on at
    once; `queue` more wait, the next is refused with 503. The limits by the minute are held second
    by second; `retry_after` says whether a 429 or 503 tells how long to wait.
    """

    latency_s: float = 0.0
    spread: float = 0.0
    token_s: float = 0.0
    slots: int | None = None
    queue: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    retry_after: bool = True
    stall_s: float = 3600.0
    seed: int = 0
    faults: Faults = Faults()


class Bucket:
    """An allowance by the minute that fills evenly; it holds a second of it, at least one call."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._level, self._at = max(self._rate, 1.0), time.monotonic()

    def take(self, amount: float) -> float:
        """Take what a request needs; 0, or the seconds to wait where it is not there.

        A request larger than all the bucket holds is let in when it is full, and leaves a debt.
        """
        now, most = time.monotonic(), max(self._rate, 1.0)
        self._level = min(most, self._level + (now - self._at) * self._rate)
        self._at = now
        missing = min(amount, most) - self._level
        if missing > 0:
            return missing / self._rate
        self._level -= amount
        return 0.0


class Slots:
    """Places to work at, given in the order of asking; knows how long they were held in all."""

    def __init__(self, number: int | None, queue: int | None) -> None:
        self._number = math.inf if number is None else number
        self._queue = math.inf if queue is None else queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.held = self.most_held = 0
        self._held_s, self._at = 0.0, time.monotonic()

    @property
    def held_s(self) -> float:
        """Seconds that places were held, over all places: the integral of `held` over time."""
        now = time.monotonic()
        self._held_s += self.held * (now - self._at)
        self._at = now
        return self._held_s

    async def enter(self) -> bool:
        """Hold a place, after waiting for one; False where the queue is full."""
        if self.held < self._number:
            self._change(1)
            return True
        if len(self._waiting) >= self._queue:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        return True

    def leave(self) -> None:
        """Hand the place on, or give it back."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._change(-1)

    def _change(self, by: int) -> None:
        assert self.held_s >= 0  # brings the integral up to now
        self.held += by
        self.most_held = max(self.most_held, self.held)


class Endpoint:
    """The server's handler and what it counted.

    Every request ends in exactly one of: `answered`, `refused` (429 or 503 by a limit), one of the
    faults, or `left` where the client went away before its answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = Slots(settings.slots, settings.queue)
        self._buckets = [
            None if limit is None else Bucket(limit)
            for limit in (settings.requests_per_minute, settings.tokens_per_minute)
        ]
        self._seen: Counter[bytes] = Counter()
        self.counts: Counter[str] = Counter()

    def stats(self) -> dict[str, Any]:
        """What was served so far; times in seconds."""
        return {
            "requests": 0,
            "answered": 0,
            "refused": 0,
            "left": 0,
            **self.counts,
            "slots": self._settings.slots,
            "in_flight": self._slots.held,
            "most_in_flight": self._slots.most_held,
            "in_flight_s": self._slots.held_s,
            "at_s": time.monotonic(),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        if request.method != "POST":
            return web.json_response(self.stats())
        self.counts["requests"] += 1
        try:
            kind, response = await self._serve(request, await request.read())
        except (asyncio.CancelledError, ConnectionError):
            self.counts["left"] += 1
            raise
        self.counts[kind] += 1
        return response

    async def _serve(self, request: web.BaseRequest, raw: bytes) -> tuple[str, web.StreamResponse]:
        point, quantile = self._fate(raw)
        if (fault := self._settings.faults.drawn(point)) in ("rate_limited", "reset"):
            return fault, _reset(request) if fault == "reset" else self._refusal(429, 1.0)
        body = json.loads(raw)
        answer, tokens = reply_to(body)
        if wait_s := self._over_limit(tokens):
            return "refused", self._refusal(429, wait_s)
        if not await self._slots.enter():
            return "refused", self._refusal(503, 1.0)
        try:
            stalls = fault in ("stall", "trickle")
            delay_s = self._settings.stall_s if stalls else self._delay_s(quantile, answer)
            if fault == "trickle":
                return fault, await _trickle(request, delay_s)
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            return await self._finish(request, fault, answer)
        finally:
            self._slots.leave()

    async def _finish(
        self, request: web.BaseRequest, fault: str | None, answer: dict[str, Any]
    ) -> tuple[str, web.StreamResponse]:
        if fault == "server_error":
            return fault, _error(500, "the server had an error")
        if fault == "empty":
            answer["choices"][0]["message"]["content"] = ""
        text = json.dumps(answer).encode()
        if fault == "invalid_json":
            text = text[: len(text) // 2]
        if fault == "truncated":
            return fault, await _truncated(request, text)
        return fault or "answered", web.Response(body=text, content_type="application/json")

    def _fate(self, raw: bytes) -> tuple[float, float]:
        """Two numbers between 0 and 1 that decide the fault and the latency of a request."""
        request = hashlib.blake2b(raw, digest_size=12).digest()
        self._seen[request] += 1
        key = f"{self._settings.seed}/{self._seen[request]}/".encode() + request
        digest = hashlib.blake2b(key, digest_size=16).digest()
        return _point(digest[:8]), _point(digest[8:])

    def _delay_s(self, quantile: float, answer: dict[str, Any]) -> float:
        settings = self._settings
        factor = (
            math.exp(settings.spread * NormalDist().inv_cdf(quantile)) if settings.spread else 1
        )
        return settings.latency_s * factor + settings.token_s * answer["usage"]["completion_tokens"]

    def _over_limit(self, tokens: int) -> float:
        requests, by_token = self._buckets
        wait_s = requests.take(1) if requests else 0.0
        return wait_s or (by_token.take(tokens) if by_token else 0.0)

    def _refusal(self, status: int, wait_s: float) -> web.Response:
        response = _error(status, "too many requests" if status == 429 else "overloaded")
        if self._settings.retry_after:
            response.headers["Retry-After"] = str(math.ceil(wait_s))
            response.headers["Retry-After-Ms"] = str(math.ceil(wait_s * 1000))
        return response


def _point(digest: bytes) -> float:
    """Eight bytes as a number above 0 and below 1."""
    return ((int.from_bytes(digest) >> 12) + 0.5) / 2**52


def reply_to(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The chat completion that answers a request, and its tokens in all (four characters each).

    An experience where one is asked for, a name where names are offered, else a few words.
    """
    messages = tuple(Message(m["role"], m["content"]) for m in body["messages"])
    last = messages[-1].content
    _, offered, names = last.rpartition("out of [")
    text = improvise(
        Request(
            "any",
            "any",
            messages,
            Sampling.model_construct(seed=body.get("seed")),
            schema=_schema(body, last),
            choices=tuple(re.findall(r"'([^']+)'", names)) if offered else (),
        )
    )
    prompt, said = sum(len(m.content) for m in messages) // 4 + 1, len(text) // 4 + 1
    usage = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    answer = {"id": "test", "object": "chat.completion", "choices": [choice], "usage": usage}
    return answer, prompt + said


def _schema(body: dict[str, Any], last: str) -> dict[str, Any] | None:
    wanted = body.get("response_format")
    if wanted and wanted["type"] == "json_schema":
        return wanted["json_schema"]["schema"]
    people = re.search(r"Invent one experience with exactly (\d+) people", last)
    return draft_schema(int(people[1])) if people else None


def _error(status: int, message: str) -> web.Response:
    error = {"message": message, "type": "error", "param": None, "code": None}
    return web.json_response({"error": error}, status=status)


def _reset(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _truncated(request: web.BaseRequest, text: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(text)
    await response.prepare(request)
    await response.write(text[: len(text) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _trickle(request: web.BaseRequest, seconds: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def serve(endpoint: Endpoint, port: int) -> None:
    """Answer until standard input ends; the first line printed says where, and what this is.

    `port` is shared with replicas, 0 for a free one; the counts are also at a port of its own.
    """
    runner = web.ServerRunner(
        web.Server(endpoint.handle, handler_cancellation=True, access_log=None), shutdown_timeout=0
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True, backlog=4096).start()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shared, own = (f"http://127.0.0.1:{address[1]}" for address in runner.addresses)
    about = "a test endpoint: canned words from a script, no language model"
    print(json.dumps({"about": about, "base_url": f"{shared}/v1", "stats": own}), flush=True)
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, closed.set)
    await closed.wait()
    await runner.cleanup()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="{}", help="a JSON object of Settings, with Faults")
    parser.add_argument("--port", type=int, default=0, help="a port to share; default: a free one")
    arguments = parser.parse_args()
    given = json.loads(arguments.settings)
    settings = Settings(**{**given, "faults": Faults(**given.get("faults", {}))})
    asyncio.run(serve(Endpoint(settings), arguments.port))


if __name__ == "__main__":
    main()
