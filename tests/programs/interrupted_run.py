"""Run `convogen run` with a test endpoint that answers 20 calls and then interrupts the command.

Usage: interrupted_run.py FOLDER, with the signal's number in CONVOGEN_TEST_SIGNAL. If
CONVOGEN_TEST_IN_BACKGROUND is not empty, the command ignores SIGINT, as commands do that a shell
starts with &. The tests themselves may be such a command, so SIGINT is set in either case.

After the interruption, the endpoint answers no more calls. The program prints the number of
answered calls, and the time in seconds that the command took to stop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time

from aiohttp import web

from convogen.cli.main import main
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Message, ModelReply, Request, Sampling

ANSWERED = 20
answered = 0
interrupted_at = 0.0


async def scripted_reply(body: dict) -> ModelReply:
    """Return the scripted model's reply to the same messages."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    messages = tuple(Message(m["role"], m["content"]) for m in body["messages"])
    request = Request("", body["model"], messages, Sampling(), schema=schema)
    return await ScriptedModel().complete(request)


async def complete(request: web.Request) -> web.Response:
    global answered, interrupted_at
    body = await request.json()
    if answered == ANSWERED:
        if not interrupted_at:
            interrupted_at = time.monotonic()
            os.kill(os.getpid(), int(os.environ["CONVOGEN_TEST_SIGNAL"]))
        await asyncio.Event().wait()
    answered += 1
    reply = await scripted_reply(body)
    choice = {"message": {"content": reply.text}, "finish_reason": "stop"}
    return web.json_response({"choices": [choice], "usage": reply.usage.model_dump()})


def serve(ready: threading.Event, port: list[int]) -> None:
    async def forever() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", complete)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(runner.addresses[0][1])
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(forever())


def run_command() -> None:
    in_background = os.environ["CONVOGEN_TEST_IN_BACKGROUND"]
    signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler)
    ready, port = threading.Event(), list[int]()
    threading.Thread(target=serve, args=(ready, port), daemon=True).start()
    ready.wait()
    settings = ["max_turns=4", "per_round=2", "lanes=2"]
    sys.argv = [
        "convogen",
        "run",
        "GPIS-s",
        "--n",
        "6",
        "--out",
        sys.argv[1],
        "--model",
        "scripted",
    ]
    url = f"http://someone:s3cret-word@127.0.0.1:{port[0]}/v1?key=s3cret-key"
    sys.argv += ["--base-url", url, "--concurrency", "1"]
    sys.argv += [part for setting in settings for part in ("--set", setting)]
    try:
        main()
    finally:
        took = time.monotonic() - interrupted_at
        print(f"answered {answered}, stopped after {took:.2f} s", json.dumps(sys.argv))


if __name__ == "__main__":
    run_command()
