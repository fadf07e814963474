"""What calls cost: by a price of one's own, else by the list prices that `genai-prices` keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from convogen.models.spec import ModelSpec, Price
from convogen.types import Usage

__all__ = ["Pricer", "list_price", "pricer"]

Pricer = Callable[[Usage], float]
"""What one call costs in US dollars. Some prices rise with the length of a prompt: calls are
priced one by one, never their sum."""

FREE = Price(input=0, output=0)

LOCAL = ("scripted", "embedded", "transformers")
"""Kinds of models that run here; what another's chatbot costs only its user knows."""


def pricer(spec: ModelSpec) -> Pricer | None:
    """What a model's calls cost: its own price, nothing where it runs here, else the list price.

    None where no price is known.
    """
    if spec.price is not None:
        return spec.price.usd
    if spec.kind in LOCAL:
        return FREE.usd
    return list_price(spec.identity) if spec.kind == "endpoint" else None


@lru_cache(maxsize=64)
def list_price(model: str) -> Pricer | None:
    """The published price of a model by its name; None where there is none."""
    from genai_prices import Usage as ListedUsage
    from genai_prices import calc_price

    try:
        price: Any = calc_price(ListedUsage(input_tokens=1), model_ref=model).model_price
    except LookupError:
        return None
    if (flat := _flat(price)) is not None:
        return flat.usd

    def usd(usage: Usage) -> float:
        tokens = ListedUsage(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
            output_tokens=usage.completion_tokens,
        )
        return float(cast("dict[str, Any]", price.calc_price(tokens))["total_price"])

    return usd


def _flat(price: Any) -> Price | None:
    """A price that does not depend on a prompt's length, which is far quicker to compute with."""
    rates = (price.input_mtok, price.output_mtok, price.cache_read_mtok)
    if price.requests_kcount or not all(hasattr(rate, "as_tuple") for rate in rates):
        return None
    fresh, written, cached = (float(rate) for rate in rates)
    return Price(input=fresh, output=written, cached=cached) if cached <= fresh else None
