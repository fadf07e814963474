"""The share of an endpoint's capacity that a run uses while it waits for replies."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence

from benchmarks.client import Order, Taken, ordered, started, taken
from benchmarks.endpoint import Settings
from benchmarks.figures import Figure, middle
from benchmarks.served import Served, serving

__all__ = ["busy_share", "chats_in_time", "endpoint_kept_busy"]

TIMES_THE_LIMIT = 1.5
BUSY_SHARE = 0.95
SAMPLE_S = 0.25


def chats_in_time(
    rounds: int, cores: tuple[int, int], chats: int = 64, latency_s: float = 0.05
) -> list[Figure]:
    """Return the time of concurrent chats relative to the larger of latency and processor time."""
    turns, times, found = 10, list[float](), list[Taken]()
    with serving(Settings(latency_s=latency_s), cores=cores[:1]) as endpoint:
        for _ in range(rounds):
            order = Order("run", chats, turns, concurrency=chats, core=cores[1])
            took = ordered(order.on(endpoint.base_url))
            found.append(took)
            times.append(
                (took.wall_s - took.waited_s) / max(latency_s * (2 * turns + 1), took.cpu_s)
            )
    return [
        Figure(
            f"{chats} chats of {turns} turns at {1000 * latency_s:g} ms",
            middle(times),
            "times",
            TIMES_THE_LIMIT,
            about=(
                f"{middle(t.wall_s - t.waited_s for t in found):.2f} s (and "
                f"{middle(t.waited_s for t in found):.2f} s in which other work had the core) "
                f"relative to the larger of "
                f"{latency_s * (2 * turns + 1):.2f} s of latency ({2 * turns + 1} consecutive "
                f"calls) and {middle(t.cpu_s for t in found):.2f} s of processor time"
            ),
        )
    ]


def endpoint_kept_busy(
    rounds: int,
    cores: tuple[int, int],
    chats: int = 512,
    latency_s: float = 1.0,
    spread: float = 0.3,
) -> list[Figure]:
    """Return the share of an endpoint's slots in use while it serves as many chats as slots.

    Three times as many chats are played in total: when one ends, the next one starts.
    """
    shares, loads, waits = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        settings = Settings(latency_s=latency_s, spread=spread, slots=chats)
        with serving(settings, cores=cores[:1]) as endpoint:
            order = Order("run", 3 * chats, concurrency=chats, core=cores[1])
            with started(order.on(endpoint.base_url)) as process:
                samples = watched(endpoint, process)
                took = taken(process)
            shares.append(busy_share(samples, chats, took.calls))
            loads.append(took.cpu_s / took.wall_s)
            waits.append(took.waited_s / took.wall_s)
    return [
        Figure(
            f"capacity in use, {chats} chats at {latency_s:g} s, spread {spread:g}",
            middle(shares),
            "of 1",
            BUSY_SHARE,
            at_least=True,
            about=(
                f"occupied slots over {chats} slots, in the middle eight tenths of the replies; "
                f"the client had its core for {middle(loads):.0%} of the time and other work had "
                f"it for {middle(waits):.0%} when the client could have run"
            ),
        )
    ]


def watched(endpoint: Served, process: subprocess.Popen[str]) -> list[dict[str, float]]:
    """Return periodic samples of the endpoint's counts until a client has finished."""
    samples = [endpoint.stats()]
    while process.poll() is None:
        time.sleep(SAMPLE_S)
        samples.append(endpoint.stats())
    return samples


def busy_share(samples: Sequence[dict[str, float]], slots: int, calls: int) -> float:
    """Return occupied slots over all slots, while the middle eight tenths of `calls` are answered.

    The first tenth is the start of the chats. The last tenth is their end, when fewer chats than
    slots are left.
    """
    before = samples[-1]["answered"] - calls
    inside = [s for s in samples if 0.1 * calls <= s["answered"] - before <= 0.9 * calls]
    if len(inside) < 2:
        raise ValueError(f"the run was too short to be sampled: {json.dumps(samples[-1])}")
    first, last = inside[0], inside[-1]
    return (last["in_flight_s"] - first["in_flight_s"]) / (slots * (last["at_s"] - first["at_s"]))
