"""A test endpoint: an OpenAI-compatible server on 127.0.0.1 that answers from a script.

It is not a language model. A script receives each request and returns the answer: a reply,
arbitrary bytes, silence or a broken connection. Every request is recorded with its headers.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from convogen.generation.experience_generator import draft_schema
from convogen.models.backends.scripted import improvise
from convogen.models.base import Message, Request, Sampling

__all__ = [
    "Answer",
    "Asked",
    "Bytes",
    "Drip",
    "EndpointServer",
    "Reset",
    "Silence",
    "converse",
    "refuse",
    "say",
    "serving",
]


@dataclass(frozen=True)
class Asked:
    """A received request; `nth` counts from 1, and header names are case-insensitive."""

    nth: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    query: dict[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"

    @property
    def json_mode(self) -> str:
        """Return how JSON is requested: `text`, `object`, `schema`, or `portable` for a schema
        without bounds."""
        wanted = self.body.get("response_format")
        if wanted is None:
            return "text"
        if wanted["type"] == "json_object":
            return "object"
        return "schema" if "maxLength" in json.dumps(wanted) else "portable"


@dataclass(frozen=True)
class Bytes:
    """An answer of arbitrary bytes; the connection is closed after `cut_at` bytes."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None


class Silence:
    """No answer at all until the server closes."""


class Reset:
    """A connection reset instead of an answer."""


class Drip:
    """An answer that begins, never ends, and never pauses for long."""


Answer = Bytes | Silence | Reset | Drip
Script = Callable[[Asked], Answer]


def say(text: str | None, **more: Any) -> Bytes:
    """Return a chat completion; `more` extends the choice, and `usage` replaces the usage."""
    usage = more.pop("usage", {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8})
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    choice = {"index": 0, "finish_reason": "stop", **more, "message": message}
    body = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}
    return Bytes(json.dumps(body).encode())


def refuse(status: int, message: str, code: str | None = None, **headers: str) -> Bytes:
    """Return an error in the form of the OpenAI API."""
    error = {"message": message, "type": "error", "param": None, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Bytes(json.dumps({"error": error}).encode(), status, named)


def converse(asked: Asked) -> Bytes:
    """Return a reply that keeps a run going: an experience if requested, else a few words."""
    messages = tuple(Message(m["role"], m["content"]) for m in asked.body["messages"])
    people = re.search(r"Invent one experience with exactly (\d+) people", messages[-1].content)
    schema = draft_schema(int(people[1])) if people else None
    sampling = Sampling(seed=asked.body.get("seed"))
    return say(improvise(Request("any", "any", messages, sampling, schema=schema)))


class EndpointServer:
    """The running server, whose `script` may be replaced at any time."""

    def __init__(self, script: Script = converse) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.n_answered = 0
        self.base_url = ""

    async def start(self) -> web.AppRunner:
        self._closing = asyncio.Event()
        app = web.Application()
        for base in ("", "/v1", "/openai/deployments/{deployment}"):
            for path in ("/chat/completions", "/completions"):
                app.router.add_post(base + path, self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    async def serve_until_closed(self, ready: threading.Event) -> None:
        runner = await self.start()
        self._loop = asyncio.get_running_loop()
        ready.set()
        await self._closing.wait()
        await runner.cleanup()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers, query = request.headers.copy(), dict(request.query)
        body = await request.json()
        asked = Asked(len(self.asked) + 1, body, headers, query, request.path)
        self.asked.append(asked)
        try:
            answer = self.script(asked)
        except Exception as error:  # noqa: BLE001, the test's own mistake; a 500 would be retried for minutes
            return web.Response(status=400, text=f"the test's script: {error!r}")
        if isinstance(answer, Silence):
            await self._closing.wait()
            return web.Response(status=503)
        if isinstance(answer, Reset):
            return self._reset(request)
        if isinstance(answer, Drip):
            return await self._drip(request)
        self.n_answered += 1
        headers = {"Content-Type": "application/json", **answer.headers}
        if answer.cut_at is None:
            return web.Response(body=answer.content, status=answer.status, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(answer.content)
        await response.prepare(request)
        await response.write(answer.content[: answer.cut_at])
        assert request.transport is not None
        request.transport.close()
        return response

    def _reset(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while not self._closing.is_set() and request.transport is not None:
            await response.write(b" ")
            await asyncio.sleep(0.01)
        return response


@contextmanager
def serving(script: Script = converse) -> Iterator[EndpointServer]:
    """Run a test endpoint in a separate thread."""
    server, ready = EndpointServer(script), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve_until_closed(ready)))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        server.close()
        thread.join(10)
