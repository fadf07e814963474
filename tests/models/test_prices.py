from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from convogen.models.http import Http
from convogen.models.prices import list_price, pricer
from convogen.models.spec import ModelSpec, Price
from convogen.types import Usage

MILLION = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


def test_a_listed_model_costs_something_and_cached_tokens_less() -> None:
    price = list_price("gpt-4o")
    assert price is not None
    assert price(MILLION) > price(MILLION + Usage(cached_tokens=1_000_000)) > 0


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gemini-2.5-pro", "claude-sonnet-4-5"])
@pytest.mark.parametrize("prompt", [0, 3000, 300_000])
def test_a_call_costs_what_the_list_says(model: str, prompt: int) -> None:
    from genai_prices import Usage as Listed
    from genai_prices import calc_price

    price = list_price(model)
    assert price is not None
    usage = Usage(prompt_tokens=prompt, cached_tokens=prompt // 3, completion_tokens=77)
    listed = Listed(input_tokens=prompt, cache_read_tokens=prompt // 3, output_tokens=77)
    expected = float(calc_price(listed, model_ref=model).total_price)
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
