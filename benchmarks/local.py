"""The embedded model: what of a chat's prompts comes from its cache, and how fast a run uses it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from benchmarks.figures import Figure, middle
from convogen.engine import run_async
from convogen.experiment import Experiment
from convogen.models.base import ChatModel, Reply, Request
from convogen.models.embedded import EmbeddedModel
from convogen.models.scripted import improvise
from convogen.models.spec import ModelSpec
from convogen.types import Usage

__all__ = ["cached_prefix", "embedded_rate"]

CACHED_SHARE = 0.8
RATE_SHARE = 0.9
IN_FLIGHT = 8


class Prompted:
    """Reads each prompt with the embedded model, and answers from a script.

    So a chat has its length whatever the model would say, and the usage is the model's own.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.usage: Counter[str] = Counter()

    async def complete(self, request: Request) -> Reply:
        sampling = request.sampling.model_copy(update={"max_tokens": 1})
        usage = (await self._model.complete(replace(request, sampling=sampling))).usage
        if request.role != "generator":
            self.usage.update(usage.model_dump())
        said = improvise(replace(request, choices=()))
        return Reply(said, usage, "stop")

    async def close(self) -> None:
        await self._model.close()


class Recorded:
    """The embedded model, with the requests it answered and the tokens it generated."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.answered: list[tuple[Request, Usage]] = []

    async def complete(self, request: Request) -> Reply:
        reply = await self._model.complete(request)
        self.answered.append((request, reply.usage))
        return reply

    async def close(self) -> None:
        await self._model.close()


def cached_prefix(turns: int = 12) -> list[Figure]:
    """The share of prompt tokens that come from the cache, for one chat and for eight at once."""
    figures: list[Figure] = []
    for chats, people in ((1, 2), (1, 3), (IN_FLIGHT, 3)):
        model = Prompted(EmbeddedModel(ModelSpec(name="embedded")))
        asyncio.run(played(experiment(chats, people, turns), model))
        usage = model.usage
        figures.append(
            Figure(
                f"prompt tokens from the cache, {chats} x {people} people",
                usage["cached_tokens"] / usage["prompt_tokens"],
                "of 1",
                CACHED_SHARE,
                at_least=True,
                about=f"{turns} turns, agents and selector, {usage['prompt_tokens']} tokens",
            )
        )
    return figures


def embedded_rate(rounds: int, chats: int = IN_FLIGHT, turns: int = 6) -> list[Figure]:
    """Generated tokens a second of a run, over those of its own requests asked for directly."""
    shares, rates = list[float](), list[float]()
    for nth in range(rounds):
        model = Recorded(EmbeddedModel(ModelSpec(name="embedded")))
        took_s = asyncio.run(played(experiment(chats, 2, turns, seed=nth), model))
        rates.append(sum(u.completion_tokens for _, u in model.answered) / took_s)
        requests = [request for request, _ in model.answered]
        shares.append(rates[-1] / asyncio.run(asked_directly(requests)))
    return [
        Figure(
            "generated tokens a second, over raw requests",
            middle(shares),
            "of 1",
            RATE_SHARE,
            at_least=True,
            about=(
                f"{middle(rates):.1f} tokens/s in runs of {chats} chats; raw: the same requests, "
                f"{IN_FLIGHT} in flight"
            ),
        )
    ]


def experiment(chats: int, people: int, turns: int, seed: int = 0) -> Experiment:
    """Chats on the embedded model that do not wait for a hub's rounds."""
    settings: dict[str, Any] = {
        "name": "local",
        "n": chats,
        "seed": seed,
        "iterative": False,
        "participants": people,
        "max_turns": turns,
        "concurrency": IN_FLIGHT,
        "models": "embedded",
        "max_failures": 10 * chats,
    }
    return Experiment(settings)


async def played(chosen: Experiment, model: ChatModel) -> float:
    """Run into a folder that is thrown away; seconds."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        await run_async(chosen, f"{folder}/run", open_model=lambda _: model)
        return time.perf_counter() - start


async def asked_directly(requests: list[Request]) -> float:
    """Generated tokens a second of requests in the order in which they were answered."""
    model = EmbeddedModel(ModelSpec(name="embedded"))
    waiting, generated = iter(requests), 0

    async def worker() -> None:
        nonlocal generated
        for request in waiting:
            generated += (await model.complete(request)).usage.completion_tokens

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    took_s = time.perf_counter() - start
    await model.close()
    return generated / took_s
