"""Prices of model calls: the user's own prices, or otherwise the list prices from `genai-prices`.

List prices are looked up by model and by provider, because resellers set their own prices. The base
URL identifies the provider.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from convogen.models.spec import ModelSpec, Price
from convogen.records import Usage
from convogen.redaction import public_url

__all__ = ["Listed", "Pricer", "listed", "listed_for", "pricer"]

Pricer = Callable[[Usage], float]
"""A function that returns the cost of one call in US dollars. Calls are priced individually,
because some prices rise with the length of the prompt."""

OPENAI = "https://api.openai.com/v1"
FREE = Price(input=0, output=0)

LOCAL = ("scripted", "embedded", "transformers")
"""Kinds of models that run locally, free of charge. HTTP chatbots are not among them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A published price.

    Attributes:
        usd: Function that returns the cost of a call in US dollars.
        provider: Provider that publishes the price.
        assumed: Whether this is the model maker's price, used because the provider is unknown.
    """

    usd: Pricer
    provider: str
    assumed: bool


def pricer(spec: ModelSpec) -> Pricer | None:
    """Return the pricer for a model; None if the model's price is unknown.

    A price in the spec takes precedence. Otherwise, a local model is free, and the list price
    applies to any other model.
    """
    if spec.price is not None:
        return spec.price.usd
    if spec.kind in LOCAL:
        return FREE.usd
    found = listed_for(spec)
    return found and found.usd


def listed_for(spec: ModelSpec) -> Listed | None:
    """Return the published price of an endpoint's model; None if no price is published."""
    if spec.kind != "endpoint":
        return None
    variable = "AZURE_OPENAI_ENDPOINT" if spec.azure else "OPENAI_BASE_URL"
    return listed(spec.identity, spec.base_url or os.environ.get(variable, "").strip() or OPENAI)


@lru_cache(maxsize=256)
def listed(model: str, base_url: str | None) -> Listed | None:
    """Return the published price of a model at an endpoint; None if the price is unknown.

    If the address identifies a provider, only that provider's price list is used. Otherwise, the
    price that the model's maker publishes is used.
    """
    from genai_prices import Usage as ListedUsage
    from genai_prices import calc_price

    provider = _provider(base_url)
    try:
        price = calc_price(ListedUsage(input_tokens=1), model_ref=model, provider_id=provider)
    except LookupError:
        return None
    own = base_url is None and price.provider.id == "openai"  # the default endpoint
    return Listed(_usd(price.model_price), price.provider.id, provider is None and not own)


def _provider(base_url: str | None) -> str | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return base_url and get_snapshot().find_provider(None, None, public_url(base_url)).id
    except LookupError:
        return None


def _usd(price: Any) -> Pricer:
    from genai_prices import Usage as ListedUsage

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
    """Convert a list price into a `Price`, which is much faster to apply; return None if the price
    depends on the length of the prompt or cannot be converted for another reason."""
    rates = (price.input_mtok, price.output_mtok, price.cache_read_mtok)
    if price.requests_kcount or not all(hasattr(rate, "as_tuple") for rate in rates):
        return None
    fresh, written, cached = (float(rate) for rate in rates)
    return Price(input=fresh, output=written, cached=cached) if cached <= fresh else None
