"""The embedded model: the cached share of a chat's prompt tokens, and its rate in a run."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from benchmarks.figures import Figure, middle
from convogen.engine.runner import run_async
from convogen.experiment.experiment import Experiment
from convogen.generation.example_experiences import load_experiences
from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat
from convogen.models.backends.gguf import EmbeddedModel
from convogen.models.base import ChatModel, ModelReply, Request
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.records import Experience, Usage

__all__ = ["cached_prefix", "embedded_rate"]

P = ParamSpec("P")
T = TypeVar("T")

CACHED_SHARE = 0.8
RATE_SHARE = 0.9
IN_FLIGHT = 8


class Recorded:
    """The embedded model, with the requests that it answered, their usage, and their times."""

    def __init__(self) -> None:
        self._model = EmbeddedModel(ModelSpec(name="embedded"))
        self._reused_before = self._model.reused_tokens
        self._began: float | None = None
        self.answered: list[tuple[Request, Usage, float]] = []

    async def complete(self, request: Request) -> ModelReply:
        self._began = self._began or time.perf_counter()
        reply = await self._model.complete(request)
        self.answered.append((request, reply.usage, time.perf_counter() - self._began))
        return reply

    async def close(self) -> None:
        await self._model.close()

    @property
    def reused_tokens(self) -> int:
        """Return the number of prompt tokens taken from the cache since the model was opened."""
        return self._model.reused_tokens - self._reused_before

    def rate(self) -> float:
        """Return the tokens per second over the first three quarters of the generated tokens."""
        wanted = 0.75 * sum(usage.completion_tokens for _, usage, _ in self.answered)
        generated = 0
        for _, usage, at_s in self.answered:
            generated += usage.completion_tokens
            if generated >= wanted:
                return generated / at_s
        raise ValueError("nothing was generated")


def cached_prefix(turns: int = 12) -> list[Figure]:
    """Return the cached share of a chat's prompt tokens, with replies from the real model."""
    figures: list[Figure] = []
    for people in (2, 3):
        seed = next(seed for seed in load_experiences() if len(seed.personas) == people)
        model = Recorded()
        ended = asyncio.run(chat(seed, model, turns))
        usage = sum((usage for _, usage, _ in model.answered), Usage())
        figures.append(
            Figure(
                f"prompt tokens from the cache, {people} people",
                model.reused_tokens / usage.prompt_tokens,
                "of 1",
                CACHED_SHARE,
                at_least=True,
                about=(
                    f"a chat of {ended} turns, agents and selector: "
                    f"{usage.prompt_tokens - model.reused_tokens} of {usage.prompt_tokens} tokens "
                    "were not in the cache"
                ),
            )
        )
    return figures


async def chat(experience: Experience, model: ChatModel, turns: int) -> int:
    """Play a chat and return the number of its turns."""
    experiment = Experiment({"name": "cache", "models": "embedded"})
    method: Any = experiment.method
    roles = {
        name: Role(experiment.model(name), experiment.sampling(name))
        for name in ("agent", "selector")
    }
    traffic = Traffic(roles, 1, RunProgress(), lambda _: model)
    rules = ChatRules(
        turns,
        speaker_selection="auto",
        allow_repeats=False,
        max_words=method.max_words,
        reasks=method.reasks,
    )
    with tempfile.TemporaryDirectory() as folder:
        session = traffic.session(0, 1, Journal(Path(folder) / "journal.jsonl"))
        loaded = ChatPrompts.of(experiment.prompts)
        played = await play_group_chat(
            experience, rules, prompts=loaded, session=session, on_turn=lambda: None
        )
    await traffic.close()
    return len(played.turns)


def embedded_rate(rounds: int, chats: int = 12, turns: int = 5) -> list[Figure]:
    """Return the token rate of a run relative to that of the same requests sent directly."""
    shares, rates = list[float](), list[float]()
    for nth in range(rounds):
        requests, in_run = apart(rate_of_run, chats, turns, nth)
        rates.append(in_run)
        shares.append(in_run / apart(rate_of_requests, requests))
    return [
        Figure(
            "generated tokens per second, relative to raw requests",
            middle(shares),
            "of 1",
            RATE_SHARE,
            at_least=True,
            about=(
                f"{middle(rates):.1f} tokens/s in runs of {chats} chats; raw: the same requests, "
                f"{IN_FLIGHT} in flight; each in a separate process with an empty cache; the first "
                "three quarters of the tokens"
            ),
        )
    ]


def apart(measure: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Measure in a new process, so that the server's cache is empty."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *args, **kwargs).result()


def rate_of_run(chats: int, turns: int, seed: int) -> tuple[list[Request], float]:
    """Return the requests of a run, and its token rate."""
    model = Recorded()
    asyncio.run(played(experiment(chats, 2, turns, seed), model))
    return [request for request, _, _ in model.answered], model.rate()


def rate_of_requests(requests: list[Request]) -> float:
    """Return the token rate of the same requests when they are sent directly."""
    model = Recorded()
    asyncio.run(asked_directly(requests, model))
    return model.rate()


def experiment(chats: int, people: int, turns: int, seed: int = 0) -> Experiment:
    """Return chats on the embedded model that do not wait for the rounds of a hub."""
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


async def played(chosen: Experiment, model: ChatModel) -> None:
    """Play a run in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        await run_async(chosen, f"{folder}/run", open_model=lambda _: model)


async def asked_directly(requests: list[Request], model: ChatModel) -> None:
    """Send every request once, in order, with `IN_FLIGHT` of them in flight."""
    waiting = iter(requests)

    async def worker() -> None:
        for request in waiting:
            await model.complete(request)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    await model.close()
