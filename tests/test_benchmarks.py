"""The test endpoint and the harness that the benchmarks and the fault storm use."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from benchmarks.client import Order, ordered
from benchmarks.endpoint import Bucket, Faults, Settings, reply_to
from benchmarks.figures import Figure, table
from benchmarks.served import Served, serving
from benchmarks.waiting import busy_share
from convogen.generation.experience_generator import draft_schema
from convogen.generation.structured_output import find_json

KINDS = ("answered", "refused", "left", *Faults.__dataclass_fields__)


def ask(served: Served, text: str) -> dict[str, Any] | int:
    """Return an endpoint's answer, or the status code of its refusal."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    url = f"{served.base_url}/chat/completions"
    try:
        request = urllib.request.Request(url, json.dumps(body).encode())
        return json.load(urllib.request.urlopen(request, timeout=20))
    except urllib.error.HTTPError as error:
        return error.code


def test_every_request_of_a_run_is_accounted_for() -> None:
    faults = Faults(rate_limited=0.05, server_error=0.05, empty=0.05, reset=0.05)
    with serving(Settings(slots=4, queue=8, faults=faults, seed=3)) as served:
        took = ordered(Order("run", 2, turns=3, concurrency=4).on(served.base_url))
        stats = served.stats()
    assert stats["requests"] == sum(stats.get(kind, 0) for kind in KINDS)
    assert stats["answered"] < stats["requests"]
    assert took.calls + took.retries < stats["requests"]  # the rest belongs to the warm-up
    assert 0 < stats["most_in_flight"] <= 4
    assert stats["in_flight"] == 0


def test_a_fault_is_met_by_the_same_requests_every_time() -> None:
    settings = Settings(faults=Faults(server_error=0.5), seed=1)
    met: list[list[bool]] = []
    for texts in (range(12), reversed(range(12))):
        with serving(settings) as served:
            answers = {n: ask(served, f"number {n}") for n in texts}
        met.append([answers[n] == 500 for n in range(12)])
    assert met[0] == met[1]
    assert 0 < sum(met[0]) < 12


def test_replicas_share_a_port_and_add_up() -> None:
    with serving(Settings(slots=2), replicas=2) as served:
        for n in range(6):
            assert isinstance(ask(served, str(n)), dict)
        stats = served.stats()
    assert stats["answered"] == 6
    assert stats["slots"] == 2


def test_a_limit_by_the_minute_refuses() -> None:
    with serving(Settings(requests_per_minute=1)) as served:
        assert [isinstance(ask(served, str(n)), dict) for n in range(3)] == [True, False, False]
        assert served.stats()["refused"] == 2


def test_a_bucket_says_how_long_to_wait() -> None:
    bucket = Bucket(60)
    assert bucket.take(1) == 0
    assert 0 < bucket.take(1) <= 1
    large = Bucket(600)
    assert large.take(500) == 0
    assert large.take(1) > 48


def test_replies_are_what_was_asked_for() -> None:
    def body(text: str, **more: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": text}], **more}

    def said(text: str, **more: Any) -> str:
        return reply_to(body(text, **more))[0]["choices"][0]["message"]["content"]

    wanted = {"type": "json_schema", "json_schema": {"schema": draft_schema(3)}}
    experience = find_json(said("Invent", response_format=wanted))
    assert experience is not None
    assert len(experience["personas"]) == 3
    assert said("The next speaker, out of ['Ada', 'Bo']:") in ("Ada", "Bo")
    assert said("What is new?") == said("What is new?") != said("What else?")


def test_the_share_of_slots_in_use_leaves_start_and_end_out() -> None:
    def sample(at_s: float, answered: int, in_flight_s: float) -> dict[str, float]:
        return {"at_s": at_s, "answered": answered, "in_flight_s": in_flight_s}

    samples = [sample(0, 0, 0), sample(1, 10, 1), sample(5, 80, 13), sample(9, 100, 14)]
    assert busy_share(samples, slots=4, calls=100) == pytest.approx(12 / (4 * 4))
    with pytest.raises(ValueError, match="too short"):
        busy_share(samples[-1:], slots=4, calls=100)


def test_a_table_says_which_limits_hold() -> None:
    figures = [Figure("a", 3, "ms", 2), Figure("b", 3, "of 1", 2, at_least=True), Figure("c", 1)]
    rows = table(figures).splitlines()[2:]
    assert ["NO" in row for row in rows] == [True, False, False]
    assert "<= 2 ms" in rows[0]
    assert ">= 2 of 1" in rows[1]
