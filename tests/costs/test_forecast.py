"""A forecast compared with the finished run, and a pilot that is not paid for twice."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, converse

from convogen import Experiment, Run, load_run, run
from convogen.costs.forecast import Range, forecast
from convogen.costs.ledger_costs import spending
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.records import Conversation, Failure, Rejected, Turn

QUANTITIES = ("calls", "prompt_tokens", "completion_tokens", "cost_usd")


def experiment(**overrides: object) -> Experiment:
    model = {"name": "m", "price": {"input": 2, "output": 8}}
    small = {"n": 14, "max_turns": 2, "participants": [2, 3], "models": model, "reasks": 0}
    return Experiment.load("GPFS-s", small | overrides)


def script(request: Request) -> str:
    """Return replies of random lengths; some of the experiences are unusable."""
    rng = random.Random(request.hash)
    if request.role == "generator" and rng.random() < 0.2:
        return "no object " * rng.randrange(60)
    if request.role == "agent":
        return " ".join(rng.choices("one two three four five six".split(), k=rng.randint(3, 20)))
    return improvise(request)


def play(folder: Path, **overrides: object) -> Run:
    return run(experiment(**overrides), folder, open_model=lambda _: ScriptedModel(script))


Calls = list[tuple[int, str, int]]
"""The calls of a run: task, role and prompt tokens."""


def written(folder: Path, accepted: list[int], calls: Calls) -> Run:
    """Write a run with these tasks and calls; other tasks failed, and the last was rejected."""
    others = [task for task in range(max(accepted, default=0) + 2) if task not in accepted]
    talks = {
        task: Conversation(id=f"c-{task}", task=task, turns=[Turn(speaker="A", text="So.")])
        for task in [*accepted, others[-1]]
    }
    rows = {
        "conversations": [talks[task] for task in accepted],
        "failures": [
            Failure(id=f"f-{task}", task=task, stage="s", kind="k", message="m")
            for task in others[:-1]
        ],
        "rejected": [
            Rejected(
                id="r", task=others[-1], gate="rule", reason="no", conversation=talks[others[-1]]
            )
        ],
    }
    for name, records in rows.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(one.to_line() for one in records))
    ledger = [
        {"task": task, "role": role, "model": "m", "prompt_tokens": tokens, "seconds": tokens / 10}
        for task, role, tokens in calls
    ]
    ledger.append({"task": 0, "role": "judge", "model": "m", "prompt_tokens": 1000})
    ledger.append({"task": 0, "role": "agent", "model": "m", "lost_attempts": 1})
    (folder / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ledger))
    model = {"name": "m", "price": {"input": 2, "output": 8}}
    manifest = {"fingerprint": "f", "models": {"agent": model, "selector": model}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Run(folder)


AGENT: Calls = [(0, "agent", 20), (1, "agent", 18), (2, "agent", 12), (3, "agent", 20)]
AGENT += [(4, "agent", 25), (4, "agent", 5)]
"""Task 1 failed, so the units of tasks 0, 2, 3 and 4 are 20, 30, 20 and 30 tokens."""


def approx(*values: float) -> Range:
    return Range(*(pytest.approx(value, rel=1e-5) for value in values))


def test_a_prediction_interval_by_hand(tmp_path: Path) -> None:
    """With 6 of 10 missing, the forecast is 6 × 25 more, ± 3.18245 × 5.77350 × √(6 + 36/4) =
    71.162.

    The mean is 25 and s = √(4 × 5²/3). The quantile of Student's t with 3 degrees of freedom at
    0.975 is 3.18245.
    """
    found = forecast(written(tmp_path, [0, 2, 3, 4], AGENT), 10)
    assert (found.n, found.seen) == (10, 4)
    tokens = found.roles["agent", "m"]["prompt_tokens"]
    assert tokens == approx(100, 250, 250 - 71.162, 250 + 71.162)
    for key, times in (("seconds", 0.1), ("cost_usd", 2e-6)):
        scaled = approx(*(times * value for value in (100, 250, 178.838, 321.162)))
        assert found.roles["agent", "m"][key] == found.total[key] == scaled
    # Calls by unit: 1, 2, 1, 2.
    assert found.total["calls"] == approx(6, 15, 15 - 7.1162, 15 + 7.1162)
    assert list(found.roles) == [("agent", "m")]


def test_what_one_role_has_more_of_where_another_has_less_is_certain_in_total(
    tmp_path: Path,
) -> None:
    """The roles take 20, 30, 20, 30 and 30, 20, 30, 20 tokens per unit, so their sum is always
    50."""
    selector: Calls = [(0, "selector", 30), (2, "selector", 20), (3, "selector", 30)]
    selector += [(4, "selector", 20)]
    found = forecast(written(tmp_path, [0, 2, 3, 4], [*AGENT, *selector]), 10)
    assert found.roles["selector", "m"]["prompt_tokens"].expected == 250
    assert found.total["prompt_tokens"] == approx(200, 500, 500, 500)


def test_the_total_has_no_cost_where_one_role_has_no_price(tmp_path: Path) -> None:
    others: Calls = [(0, "narrator", 30), (2, "narrator", 30)]
    found = forecast(written(tmp_path, [0, 2, 3, 4], [*AGENT, *others]), 10)
    assert "cost_usd" in found.roles["agent", "m"]
    assert "cost_usd" not in found.roles["narrator", "m"]
    assert list(found.total) == [
        *("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "seconds"),
    ]
    assert found.total["prompt_tokens"].so_far == 160


def test_what_came_after_the_last_conversation_is_spent_or_part_of_the_next(
    tmp_path: Path,
) -> None:
    """Task 5 was rejected, so its 7 tokens are added. Task 6 is in progress, so its 9 are not."""
    late: Calls = [(5, "agent", 7), (6, "agent", 9)]
    result = written(tmp_path, [0, 2, 3, 4], [*AGENT, *late])
    for found in (forecast(result, 10).total, forecast(result, 10).roles["agent", "m"]):
        assert found["prompt_tokens"] == approx(116, 257, 257 - 71.162, 257 + 71.162)
    for n in (4, 3):  # nothing is missing
        assert forecast(result, n).total["prompt_tokens"] == Range(116, 116, 116, 116)
    much = written(tmp_path, [0, 2, 3, 4], [*AGENT, (5, "agent", 7), (6, "agent", 200)])
    found = forecast(much, 10).total["prompt_tokens"]
    assert found == approx(307, 307, 307, 107 + 150 + 71.162)


@pytest.mark.parametrize(("accepted", "expected"), [([], 13), ([0], 83)])
def test_of_fewer_than_two_there_is_an_expectation_alone(
    accepted: list[int], expected: float, tmp_path: Path
) -> None:
    """Task 0 took 8 tokens, task 1 took 3, and 2 are in progress; with one conversation, 10 × 8 +
    3."""
    calls: Calls = [(0, "agent", 8), (1, "agent", 3), (2, "agent", 2)]
    found = forecast(written(tmp_path, accepted, calls), 10).total["prompt_tokens"]
    assert found == Range(13, expected, None, None)


def within(found: Range, value: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low - 1e-9 <= value <= found.high + 1e-9


def test_the_interval_holds_the_finished_run_about_as_often_as_it_says(tmp_path: Path) -> None:
    """Each of 20 runs is forecast from its first 6 conversations.

    If each interval held with 95%, fewer than 15 of 20 would hold with a probability below 0.001.
    """
    held = dict.fromkeys(QUANTITIES, 0)
    widths: list[float] = []
    for seed in range(20):
        folder = tmp_path / str(seed)
        found = forecast(play(folder, n=6, seed=seed), 14)
        assert found.seen == 6
        whole = spending(play(folder, seed=seed))
        for key in QUANTITIES:
            held[key] += within(found.total[key], sum(getattr(row, key) for row in whole))
        cost = found.total["cost_usd"]
        assert cost.low is not None
        assert cost.high is not None
        widths.append((cost.high - cost.low) / cost.expected)
    assert min(held.values()) >= 15, held
    assert sum(widths) / len(widths) < 0.6


def test_a_finished_run_is_its_own_forecast(tmp_path: Path) -> None:
    result = play(tmp_path, n=4)
    found = forecast(result, 4)
    for row in spending(result):
        ranges = found.roles[row.role, row.model]
        for key in (*QUANTITIES, "seconds"):
            expected = pytest.approx(getattr(row, key))
            assert ranges[key].so_far == ranges[key].expected == expected
            assert ranges[key].low == ranges[key].high == expected
    calls = sum(ranges["calls"].expected for ranges in found.roles.values())
    assert found.total["calls"].expected == calls


def test_nothing_seen_is_no_interval(tmp_path: Path) -> None:
    one = forecast(play(tmp_path / "one", n=1), 10)
    assert one.total["calls"].low is None
    assert one.total["calls"].expected == 10 * one.total["calls"].so_far
    assert "cost_usd" not in forecast(play(tmp_path / "free", n=2, models={"name": "m"}), 10).total


def random_lengths(asked: Asked) -> Bytes:
    body = json.loads(converse(asked).content)
    rng = random.Random(json.dumps(asked.body["messages"]))
    body["usage"] = {
        "prompt_tokens": 100 + rng.randrange(40),
        "completion_tokens": rng.randrange(90),
    }
    return Bytes(json.dumps(body).encode())


def test_a_dry_run_plays_a_pilot_and_the_run_goes_on_from_it(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = random_lengths
    arguments = ["run", "GPFS-s", "--model", "m", "--base-url", endpoint.base_url, "--n", "12"]
    arguments += ["--set", "max_turns=3", "--set", "participants=3"]
    arguments += ["--price", "1,2", "--out", tmp_path / "run"]
    dry = convogen(*arguments, "--dry-run", "--pilot", "4", "--json")
    assert dry.status == 0
    assert "generating a pilot of 4 conversations with real model calls" in dry.err
    found = json.loads(dry.out)
    pilot = load_run(tmp_path / "run")
    assert sum(1 for _ in pilot.conversations()) == found["seen"] == 4
    assert pilot.manifest["complete"] is False
    assert found["total"]["calls"]["so_far"] == len(endpoint.asked)
    assert found["pilot_usd"] == pytest.approx(found["total"]["cost_usd"]["so_far"])
    made = len(endpoint.asked)
    again = convogen(*arguments, "--dry-run", "--pilot", "3")
    assert again.status == 0
    assert "no model calls are made" in again.err
    assert "95% interval" in again.out
    assert len(endpoint.asked) == made
    assert convogen(*arguments).status == 0
    assert len(list(pilot.ledger())) == len(endpoint.asked)
    bodies = [json.dumps(asked.body) for asked in endpoint.asked]
    assert len(set(bodies)) == len(bodies)
    for key in ("calls", "prompt_tokens", "completion_tokens", "cost_usd"):
        total = sum(getattr(row, key) for row in spending(pilot))
        assert within(Range(**found["total"][key]), total)


def test_a_dry_run_minds_the_price_that_the_run_was_begun_with(tmp_path: Path) -> None:
    arguments = ["run", "GPFS-s", "--model", "scripted", "--set", "max_turns=3"]
    arguments += ["--out", tmp_path / "run"]
    assert convogen(*arguments, "--n", "2", "--price", "1000,2000").status == 0
    dry = convogen(*arguments, "--n", "4", "--dry-run", "--pilot", "2", "--json")
    assert json.loads(dry.out)["total"]["cost_usd"]["so_far"] > 0


def test_a_dry_run_says_what_has_no_price_and_minds_what_is_there(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    arguments = ["run", "GPFS-s", "--model", "m", "--base-url", endpoint.base_url]
    arguments += ["--set", "max_turns=2", "--out", tmp_path / "run", "--dry-run"]
    ended = convogen(*arguments, "--pilot", "2")
    assert ended.status == 0
    assert "No price is known for m" in ended.out
    assert "unknown" in ended.out
    made = len(endpoint.asked)
    priced = convogen(*arguments, "--pilot", "2", "--price", "1,2")
    assert "not known" not in priced.out
    assert "$" in priced.out
    other = convogen(*arguments, "--seed", "5")
    assert other.status == 2
    assert "a different experiment" in other.complaint
    assert len(endpoint.asked) == made
