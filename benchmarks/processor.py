"""Processor time per call, end to end and by part, next to that of peers that do less."""

from __future__ import annotations

from benchmarks.client import Order, Taken, ordered
from benchmarks.endpoint import Settings
from benchmarks.figures import Figure, middle
from benchmarks.served import serving

__all__ = ["processor_time"]

LIMIT_MS = 2.0
LIMIT_OVER_BARE = 1.5
LATENCY_S = 0.02
PEERS = ("aiohttp", "openai post", "openai create", "autogen", "scripted")


def processor_time(rounds: int, cores: tuple[int, int], chats: int = 128) -> list[Figure]:
    """Return medians of interleaved rounds; client and endpoint run on separate cores."""
    took: dict[str, list[Taken]] = {what: [] for what in (*PEERS, "bare run", "run")}
    with serving(Settings(latency_s=LATENCY_S), cores=cores[:1]) as endpoint:
        for _ in range(rounds):
            for what, found in took.items():
                order = Order(what, chats, core=cores[1])
                found.append(ordered(order.on(endpoint.base_url)))
    ms = {what: middle(each.cpu_ms for each in found) for what, found in took.items()}
    ratio = middle(
        run.cpu_ms / (autogen.cpu_ms + post.cpu_ms)
        for run, autogen, post in zip(
            took["run"], took["autogen"], took["openai post"], strict=True
        )
    )
    over_bare = middle(
        run.cpu_ms / bare.cpu_ms for run, bare in zip(took["run"], took["bare run"], strict=True)
    )
    calls = took["run"][0].calls
    return [
        Figure(
            "processor time per call",
            ms["run"],
            "ms",
            LIMIT_MS,
            about=f"{calls} calls of {chats} chats: AutoGen, HTTP, journal, commit, start of run",
        ),
        Figure(
            "the same run over bare aiohttp",
            ms["bare run"],
            "ms",
            about="as before the `openai` client",
        ),
        Figure(
            "the run, relative to the run over bare aiohttp",
            over_bare,
            "times",
            LIMIT_OVER_BARE,
            about="the cost of the `openai` client, from group chat to commit",
        ),
        Figure(
            "the run, relative to the sum of AutoGen and `openai` post",
            ratio,
            "times",
            about="the sum is the cost of a chat without any records",
        ),
        Figure(
            "of which chat, prompts, checks, journal, commit",
            ms["scripted"],
            "ms",
            about="a run on the scripted model",
        ),
        Figure(
            "of which the endpoint's client",
            ms["run"] - ms["scripted"],
            "ms",
            about="the run minus a run on the scripted model",
        ),
        Figure("peer: AutoGen", ms["autogen"], "ms", about="unmodified, with idle agents"),
        Figure("peer: bare aiohttp", ms["aiohttp"], "ms", about="the same bodies, 64 in flight"),
        Figure("peer: `openai` post", ms["openai post"], "ms", about="untyped, over aiohttp"),
        Figure("peer: `openai` create", ms["openai create"], "ms", about="as documented"),
    ]
