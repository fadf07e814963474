"""A test endpoint in a separate process: an OpenAI-compatible server without a language model.

    python -m benchmarks.endpoint [--settings JSON] [--port N]

The server answers on 127.0.0.1 until its standard input ends. The text of a reply depends only on
the request. Latency and faults depend on the request, the number of its repetitions, and the seed.
A run therefore meets the same faults in whatever order its calls arrive.
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
    """The share of requests that meet each fault, from 0 to 1; together at most 1.

    `rate_limited` is status 429 and `server_error` is status 500. A `stall` lasts
    `Settings.stall_s`. A `reset` closes the connection without a response. `invalid_json` and
    `truncated` are broken bodies; a truncated body ends before its declared length. `empty` is a
    reply without words. A `trickle` arrives byte by byte and takes as long as a stall.
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
        """Return the fault at a point between 0 and 1; None if the point is beyond all shares."""
        for each in fields(self):
            point -= getattr(self, each.name)
            if point < 0:
                return each.name
        return None


@dataclass(frozen=True, slots=True)
class Settings:
    """The behaviour of an endpoint; a limit of None means no limit.

    A reply takes `latency_s`, and `token_s` more for each token. If `spread` is not 0, the latency
    is lognormal around `latency_s`, and `spread` is the standard deviation of its logarithm. Up to
    `slots` requests are processed at a time and up to `queue` more wait; any further request is
    refused with status 503. Limits per minute are enforced second by second. If `retry_after` is
    true, responses with status 429 or 503 state how long to wait.
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
    """A limit per minute that refills evenly, up to the amount for one second or one call."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._level, self._at = max(self._rate, 1.0), time.monotonic()

    def take(self, amount: float) -> float:
        """Take the amount that a request needs; return 0, or the seconds to wait if it is missing.

        A request larger than the bucket is admitted when the bucket is full, and leaves a debt.
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
    """Slots that are assigned in the order of requests, and the total time they were occupied."""

    def __init__(self, number: int | None, queue: int | None) -> None:
        self._number = math.inf if number is None else number
        self._queue = math.inf if queue is None else queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.held = self.most_held = 0
        self._held_s, self._at = 0.0, time.monotonic()

    @property
    def held_s(self) -> float:
        """Return the seconds that all slots were occupied: the integral of `held` over time."""
        now = time.monotonic()
        self._held_s += self.held * (now - self._at)
        self._at = now
        return self._held_s

    async def enter(self) -> bool:
        """Wait for a slot and occupy it; return False if the queue is full."""
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
        """Pass the slot to the next waiting request, or release it."""
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
    """The server's request handler and its counts.

    Every request is counted exactly once: as `answered`, as `refused` (429 or 503 because of a
    limit), as one of the faults, or as `left` if the client disconnected before the response.
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
        """Return the counts so far; times are in seconds."""
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
        """Return two numbers between 0 and 1 that determine the fault and latency of a request."""
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
    """Return eight bytes as a number above 0 and below 1."""
    return ((int.from_bytes(digest) >> 12) + 0.5) / 2**52


def reply_to(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the chat completion for a request, and its total tokens (four characters each).

    The reply is an experience if the request asks for one, a name if names are offered, and
    otherwise a few words.
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
    """Serve until standard input ends; the first line printed states the address and the server.

    `port` may be shared with replicas; 0 means any free port. The counts of this process are also
    served at a separate port.
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
    """Serve with the settings from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", default="{}", help="JSON object with the fields of Settings and Faults"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port, may be shared (default: a free one)"
    )
    arguments = parser.parse_args()
    given = json.loads(arguments.settings)
    settings = Settings(**{**given, "faults": Faults(**given.get("faults", {}))})
    asyncio.run(serve(Endpoint(settings), arguments.port))


if __name__ == "__main__":
    main()
