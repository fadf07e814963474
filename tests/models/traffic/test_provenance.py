"""Values that endpoints refuse, by role, and the models that they report: recorded, and printed
once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Answer, Asked, Bytes, EndpointServer, converse, refuse, serving
from hypothesis import given
from hypothesis import strategies as st

from convogen import load_run
from convogen.models.backends.dialect import Dialect
from convogen.models.base import Message, Request, Sampling
from convogen.models.traffic.provenance import moved


def run_at(endpoint: EndpointServer, folder: Path, n: int = 2) -> list[str]:
    """Run with the endpoint, and return the lines on standard error."""
    ended = convogen(
        "run", "GPFS-s", "--model", "m", "--base-url", endpoint.base_url, "--n", n,
        "--set", "max_turns=3", "--out", folder,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    return ended.err.splitlines()


def no_zero(asked: Asked) -> Answer:
    """Answer like a reasoning model that accepts any temperature but 0."""
    if asked.body.get("temperature") == 0:
        said = "Unsupported value: 'temperature' does not support 0 with this model."
        return refuse(400, said, "unsupported_value")
    return converse(asked)


def test_the_selectors_temperature_does_not_take_the_agents_away(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = no_zero
    told = run_at(endpoint, tmp_path)
    assert told == [
        "model m does not accept temperature=0.0 for the selector; requests omit this setting"
    ]
    temperatures = [asked.body.get("temperature") for asked in endpoint.asked]
    assert 0.9 in temperatures
    assert 1.0 in temperatures
    ledger = list(load_run(tmp_path).ledger())
    left_out = {row["role"]: row.get("left_out") for row in ledger}
    assert left_out == {"generator": None, "selector": ["temperature=0.0"], "agent": None}


def test_a_schema_that_is_not_taken_is_told(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        schema = asked.json_mode in ("schema", "portable")
        return refuse(400, "response_format json_schema: no") if schema else converse(asked)

    endpoint.script = script
    assert run_at(endpoint, tmp_path) == [
        "model m does not accept a JSON schema for the generator; requests omit this setting"
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.5, 1.0, None])), min_size=1),
    st.sampled_from("abc"),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_only_what_was_refused_is_left_out(
    asked: list[tuple[str, float | None]], role: str, value: float
) -> None:
    dialect = Dialect()
    for asking, temperature in asked:
        sampling = Sampling(temperature=temperature, seed=7)
        request = Request(asking, "m", (Message("user", "hi"),), sampling)
        body = dialect.body(request)
        sent = "temperature" in body and (asking, temperature) == (role, value)
        if sent:
            dialect.adapt(400, '"temperature"', body, dialect.json_mode, asking)
        again = dialect.body(request)
        refused = (asking, temperature) == (role, value)
        assert again.get("temperature") == (None if refused else temperature)
        assert dialect.left_out(request) == ((f"temperature={value}",) if refused else ())


def test_a_seed_is_refused_whatever_it_is() -> None:
    dialect = Dialect()
    first, second = (
        Request("agent", "m", (Message("user", "hi"),), Sampling(seed=seed)) for seed in (1, 2)
    )
    assert dialect.adapt(400, "'seed'", dialect.body(first), dialect.json_mode, "agent")
    assert "seed" not in dialect.body(second)


def served_as(name: str) -> object:
    def script(asked: Asked) -> Answer:
        body = json.loads(converse(asked).content)
        return Bytes(json.dumps({**body, "model": name}).encode())

    return script


def test_who_answered_is_kept_and_another_is_told(endpoint: EndpointServer, tmp_path: Path) -> None:
    endpoint.script = served_as("m-2024-08-06")  # type: ignore[assignment]
    assert run_at(endpoint, tmp_path) == []
    assert {row["served"] for row in load_run(tmp_path).ledger()} == {"m-2024-08-06"}
    before = (tmp_path / "calls.jsonl").read_bytes()
    assert b"2024-08-06" not in before, "the calls must not depend on who answered"
    endpoint.script = served_as("m-2025-01-01")  # type: ignore[assignment]
    told = run_at(endpoint, tmp_path, 4)
    assert told == ["model m: previously served as m-2024-08-06, now as m-2025-01-01"]
    assert run_at(endpoint, tmp_path, 5) == [], "the change must be reported only once"


def test_another_base_url_is_told(endpoint: EndpointServer, tmp_path: Path) -> None:
    run_at(endpoint, tmp_path)
    assert run_at(endpoint, tmp_path, 3) == []
    with serving() as other:
        [line] = run_at(other, tmp_path, 4)
        assert line.startswith("the run continues at another endpoint: generator, agent, sel")
        assert f"{endpoint.base_url} before, {other.base_url} now" in line


def test_a_variable_says_where_too(
    endpoint: EndpointServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_at(endpoint, tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url.replace("127.0.0.1", "localhost"))
    ended = convogen(
        "run", "GPFS-s", "--model", "m", "--n", 3, "--set", "max_turns=3", "--out", tmp_path
    )
    assert ended.status == 0
    assert "continues at another endpoint" in ended.err


@pytest.mark.parametrize("before", [None, [], {"agent": 3}, {"agent": {"base_url": 5}}, {}])
def test_a_manifest_that_was_changed_says_nothing(before: object) -> None:
    assert moved(before, {"agent": {"name": "m", "base_url": "http://a/v1"}}) == ""
