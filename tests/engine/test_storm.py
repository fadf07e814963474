"""Runs against an endpoint that fails in every way at the same time, disappears, or revokes the
key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from endpoint_server import (
    Answer,
    Asked,
    Bytes,
    Drip,
    EndpointServer,
    Reset,
    Silence,
    converse,
    refuse,
    say,
)
from virtual_time import run_virtually

from convogen import Experiment, Run, load_run, run
from convogen.engine.runner import run_async
from convogen.errors import EndpointDown
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ModelReply, Request, Transient
from convogen.models.progress import RunProgress
from convogen.models.traffic.trouble import ATTEMPTS

STORM: dict[str, tuple[float, Callable[[Asked], Answer]]] = {
    "429": (0.20, lambda _: refuse(429, "slow down")),
    "500": (0.10, lambda _: refuse(500, "boom")),
    "stall": (0.05, lambda _: Silence()),
    "reset": (0.02, lambda _: Reset()),
    "invalid JSON": (0.02, lambda _: Bytes(b'{"choices": [{')),
    "truncated": (0.02, lambda asked: Bytes(converse(asked).content, cut_at=40)),
    "trickle": (0.02, lambda _: Drip()),
}
EMPTY_REPLIES = 0.02


def experiment(server_url: str, n: int, **more: object) -> Experiment:
    models = {"name": "m", "base_url": server_url, "timeout_s": 1.5, **more}
    settings = {"max_turns": 3, "iterative": False}
    return Experiment({"name": "storm", "n": n, "models": models, **settings})


def share(asked: Asked) -> float:
    """Return a number from 0 to 1 that is always the same for the same request."""
    digest = hashlib.blake2b(json.dumps(asked.body).encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def calm(asked: Asked) -> Answer:
    return say("") if share(asked) < EMPTY_REPLIES else converse(asked)


def dataset(folder: Path) -> dict[str, bytes]:
    names = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")
    return {name: (folder / name).read_bytes() for name in names}


def attempts(finished: Run) -> Counter[int]:
    answered = (call for call in finished.ledger() if "lost_attempts" not in call)
    return Counter(call["attempts"] for call in answered)


@pytest.mark.slow
def test_a_storm_of_faults_loses_nothing(endpoint: EndpointServer, tmp_path: Path) -> None:
    rng = random.Random(11)
    raised: Counter[str] = Counter()

    def storm(asked: Asked) -> Answer:
        draw = rng.random()
        for name, (chance, answer) in STORM.items():
            draw -= chance
            if draw < 0:
                raised[name] += 1
                return answer(asked)
        return calm(asked)

    endpoint.script = calm
    quiet = run(experiment(endpoint.base_url, 100), tmp_path / "calm")
    endpoint.script = storm
    endpoint.asked.clear()
    stormy = run(experiment(endpoint.base_url, 100), tmp_path / "stormy")

    assert set(raised) == set(STORM)
    ids = [conversation.id for conversation in stormy.conversations()]
    assert len(ids) == len(set(ids)) == 100
    assert dataset(tmp_path / "stormy") == dataset(tmp_path / "calm"), "the files must be identical"
    tries = attempts(stormy)
    assert tries.total() == attempts(quiet).total(), "each call must be answered exactly once"
    assert sum(n * count for n, count in tries.items()) == len(endpoint.asked)
    assert max(tries) <= ATTEMPTS


def test_a_key_revoked_on_the_way_stops_the_run_and_nothing_is_lost(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    wanted = experiment(endpoint.base_url, 12)
    run(wanted, tmp_path / "whole")
    n_calls = len(endpoint.asked)
    endpoint.asked.clear()

    endpoint.script = lambda a: refuse(401, "revoked") if a.nth > n_calls // 2 else converse(a)
    with pytest.raises(EndpointDown) as caught:
        run(wanted, tmp_path / "run")
    [line] = str(caught.value).splitlines()
    assert "401" in line
    assert "set OPENAI_API_KEY to a valid key and run again" in line
    answered = n_calls // 2
    assert attempts(load_run(tmp_path / "run")).total() == answered, "all paid calls must be kept"

    endpoint.script = converse
    endpoint.asked.clear()
    run(wanted, tmp_path / "run")
    assert len(endpoint.asked) == n_calls - answered
    assert dataset(tmp_path / "run") == dataset(tmp_path / "whole")


class Outage(ScriptedModel):
    """A scripted model that takes a second per call and is unreachable during an interval."""

    def __init__(self, begin: float, end: float) -> None:
        super().__init__()
        self._begin, self._end = begin, end
        self.tried = 0

    async def complete(self, request: Request) -> ModelReply:
        await asyncio.sleep(1)
        if self._begin <= asyncio.get_running_loop().time() < self._end:
            self.tried += 1
            raise Transient("http://127.0.0.1:1/v1 cannot be reached", kind="connection")
        return await super().complete(request)


def test_a_run_goes_on_after_a_minute_without_its_endpoint(tmp_path: Path) -> None:
    def play(model: ScriptedModel, folder: Path) -> list[str]:
        tally, notices = RunProgress(), []
        tally.on_notice = notices.append
        wanted = experiment("http://127.0.0.1:1/v1", 40)
        run_virtually(run_async(wanted, folder, tally=tally, open_model=lambda _: model))
        return notices

    assert play(Outage(0, 0), tmp_path / "calm") == []
    model = Outage(4, 64)
    notices = play(model, tmp_path / "run")
    assert notices[0] == ("paused: http://127.0.0.1:1/v1 cannot be reached; retrying in 1 s")
    assert notices[-1] == ""
    assert dataset(tmp_path / "run") == dataset(tmp_path / "calm")
    assert load_run(tmp_path / "run").manifest["complete"]
    assert model.tried <= 64 + 10


def test_an_endpoint_that_stays_away_stops_the_run_with_a_line(tmp_path: Path) -> None:
    wanted = experiment("http://127.0.0.1:1/v1", 40, patience_s=300)
    with pytest.raises(
        EndpointDown, match=r"no call was answered for \d+ s, and patience_s is 300"
    ):
        run_virtually(run_async(wanted, tmp_path / "run", open_model=lambda _: Outage(4, 1e6)))
    run_virtually(run_async(wanted, tmp_path / "run", open_model=lambda _: Outage(0, 0)))
    run_virtually(run_async(wanted, tmp_path / "calm", open_model=lambda _: Outage(0, 0)))
    assert dataset(tmp_path / "run") == dataset(tmp_path / "calm")
