from __future__ import annotations

from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import EndpointServer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from convogen import load_run
from convogen.costs.ledger_costs import spending
from convogen.models.http import Http
from convogen.models.prices import listed, listed_for, pricer
from convogen.models.spec import ModelSpec, Price
from convogen.records import Usage

MILLION = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


def test_a_listed_model_costs_something_and_cached_tokens_less() -> None:
    found = listed("gpt-4o", "https://api.openai.com/v1")
    assert found is not None
    price = found.usd
    assert price(MILLION) > price(MILLION + Usage(cached_tokens=1_000_000)) > 0


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gemini-2.5-pro", "claude-sonnet-4-5"])
@pytest.mark.parametrize("prompt", [0, 3000, 300_000])
def test_a_call_costs_what_the_list_says(model: str, prompt: int) -> None:
    from genai_prices import Usage as Listed
    from genai_prices import calc_price

    found = listed(model, None)
    assert found is not None
    price = found.usd
    usage = Usage(prompt_tokens=prompt, cached_tokens=prompt // 3, completion_tokens=77)
    theirs = Listed(input_tokens=prompt, cache_read_tokens=prompt // 3, output_tokens=77)
    expected = float(calc_price(theirs, model_ref=model).total_price)
    assert price(usage) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", ["smollm2-135m", "scripted", "some-file.gguf"])
def test_what_runs_here_costs_nothing(model: str) -> None:
    price = pricer(ModelSpec(name=model))
    assert price is not None
    assert price(MILLION) == 0


@pytest.mark.parametrize("model", ["my-own-finetune-of-something", "scripted", "a.gguf"])
def test_a_model_behind_an_endpoint_without_a_list_price_has_none(model: str) -> None:
    assert pricer(ModelSpec(name=model, base_url="http://127.0.0.1/v1")) is None


def test_another_s_chatbot_is_not_taken_for_free() -> None:
    chatbot = Http(url="http://127.0.0.1/ask", body={"q": "{{ message }}"}, answer="a")
    assert pricer(ModelSpec(name="gpt-4o", http=chatbot)) is None
    own = ModelSpec(name="bot", price=Price(input=1, output=1), http=chatbot)
    assert (pricer(own) or MILLION)(MILLION) == 2


@given(
    st.builds(Price, input=st.floats(0, 100), output=st.floats(0, 100)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_cached_tokens_cost_as_much_where_no_price_is_given(
    price: Price, fresh: int, cached: int, out: int
) -> None:
    usage = Usage(prompt_tokens=fresh + cached, cached_tokens=cached, completion_tokens=out)
    plain = usage.model_copy(update={"cached_tokens": 0})
    assert price.usd(usage) == pytest.approx(price.usd(plain))
    free = Price(input=price.input, output=price.output, cached=0)
    saved = cached * price.input / 1e6
    assert price.usd(usage) - free.usd(usage) == pytest.approx(saved, abs=1e-9)


@pytest.mark.parametrize(
    "price",
    [
        {"input": -1, "output": 1},
        {"input": 1},
        {"input": float("nan"), "output": 1},
        {"input": 1, "output": 1, "cached": 2},
        {"input": 1, "output": 1, "colour": 2},
    ],
)
def test_what_is_no_price_is_refused(price: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ModelSpec.model_validate({"name": "m", "price": price})


def test_a_price_is_no_part_of_the_fingerprint() -> None:
    from convogen import Experiment

    free = Experiment.load("GPFS-s", {"models": {"name": "m"}})
    model = {"name": "m", "price": {"input": 1, "output": 2}}
    priced = Experiment.load("GPFS-s", {"models": model})
    assert priced.model("agent").price == Price(input=1, output=2)
    assert priced.fingerprint == free.fingerprint


OPENROUTER = "https://openrouter.ai/api/v1"


@pytest.mark.parametrize(
    ("model", "url", "provider", "assumed"),
    [
        ("gpt-4o", None, "openai", False),
        ("gpt-4o", "https://api.openai.com/v1", "openai", False),
        ("gpt-4o", "https://x.openai.azure.com", "azure", False),
        ("openai/gpt-4o", OPENROUTER, "openrouter", False),
        ("qwen/qwen3-8b", f"{OPENROUTER}?key=s3cret-s3cret", "openrouter", False),
        ("gpt-4o", "https://llm.example.org/v1", "openai", True),
        ("claude-sonnet-4-5", "http://127.0.0.1:4000/v1", "anthropic", True),
    ],
)
def test_prices_are_those_of_the_provider(
    model: str, url: str | None, provider: str, assumed: bool
) -> None:
    found = listed_for(ModelSpec(name=model, base_url=url))
    assert found is not None
    assert (found.provider, found.assumed) == (provider, assumed)


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("claude-sonnet-4-5", "https://api.groq.com/openai/v1"),
        ("gpt-4o", "https://api.groq.com/openai/v1"),
        ("claude-sonnet-4-5", "https://api.openai.com/v1"),
        ("Qwen/Qwen3-8B", "http://127.0.0.1:8000/v1"),
    ],
)
def test_what_a_provider_does_not_list_is_not_priced_as_its_maker_does(
    model: str, url: str
) -> None:
    assert pricer(ModelSpec(name=model, base_url=url)) is None


def test_a_reseller_is_not_priced_as_the_maker() -> None:
    """Three providers offer the same model, each at its own price."""
    prices = {
        url: pricer(ModelSpec(name=name, base_url=url))
        for name, url in [
            ("deepseek/deepseek-r1", OPENROUTER),
            ("deepseek-ai/DeepSeek-R1", "https://api.together.xyz/v1"),
            ("deepseek-reasoner", "https://api.deepseek.com"),
        ]
    }
    costs = [price(MILLION) for price in prices.values() if price is not None]
    assert len(costs) == len(set(costs)) >= 2


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", OPENROUTER)
    found = listed_for(ModelSpec(name="qwen/qwen3-8b"))
    assert found is not None
    assert found.provider == "openrouter"


def test_what_is_assumed_is_said_before_and_after_a_run(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    small = (
        "--n",
        1,
        "--set",
        "personas=generated",
        "--set",
        "participants=2",
        "--set",
        "max_turns=3",
        "--out",
        tmp_path,
    )
    where = ("--model", "gpt-4o", "--base-url", endpoint.base_url)
    ended = convogen("run", "demo", *small, *where)
    assert f"the price of gpt-4o at {endpoint.base_url} is not known" in ended.err
    assert "openai's price is assumed" in ended.err
    assert "(assumed)" in " ".join(ended.out.split())
    assert {row.price for row in spending(load_run(tmp_path))} == {"assumed"}
    ended = convogen("run", "demo", *small, *where, "--price", "1,2")
    assert "is not known" not in ended.err
