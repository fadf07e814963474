from __future__ import annotations

import pytest

from convogen.models.prices import cost_usd
from convogen.types import Usage

MILLION = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


def test_a_listed_model_costs_something_and_cached_tokens_less() -> None:
    full = cost_usd("gpt-4o", MILLION)
    cached = cost_usd("gpt-4o", MILLION + Usage(cached_tokens=1_000_000))
    assert full is not None
    assert cached is not None
    assert full > cached > 0


@pytest.mark.parametrize("model", ["smollm2-135m", "scripted", "some-file.gguf"])
def test_what_runs_here_costs_nothing(model: str) -> None:
    assert cost_usd(model, MILLION) == 0


def test_a_model_without_a_list_price_has_none() -> None:
    assert cost_usd("my-own-finetune-of-something", MILLION) is None
