"""What calls cost, by the published list prices that `genai-prices` keeps."""

from __future__ import annotations

from convogen.models.spec import EMBEDDED, SCRIPTED
from convogen.types import Usage

__all__ = ["cost_usd"]


def cost_usd(model: str, usage: Usage) -> float | None:
    """List price of some calls in US dollars; 0 for local models, None where not known."""
    if model in (EMBEDDED, SCRIPTED) or model.endswith(".gguf"):
        return 0.0
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    tokens = PricedUsage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
        output_tokens=usage.completion_tokens,
    )
    try:
        return float(calc_price(tokens, model_ref=model).total_price)
    except LookupError:
        return None
