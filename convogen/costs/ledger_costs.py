"""The cost of a run for each role and model, with every call in the ledger priced individually.

Attempts that may have been billed although no reply arrived are listed separately. Their token
counts (`lost_…`) are estimates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from convogen.errors import RunFolderError
from convogen.models.prices import Listed, Pricer, listed, listed_for, pricer
from convogen.models.spec import ModelSpec, Price
from convogen.records import Usage
from convogen.storage.run_folder import Run
from convogen.storage.score_store import scores_manifest

__all__ = ["JUDGE", "Prices", "Spending", "spending", "total_usd", "usage_of"]

JUDGE = "judge"
"""The role of judge calls, which do not count towards the cost of the run itself."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The usage and cost of a role's calls to one model, in tokens, seconds and US dollars.

    Attributes:
        price: Source of the price: `own` (set by the user), `list` (published by the endpoint's
        provider), `assumed` (published by the model's maker, if the endpoint's provider is unknown)
        or `local`; None if the price is unknown.
        attempts: Number of attempts, including retries, made for the calls that received a reply.
        seconds: Total duration of all calls in seconds.
        lost_attempts: Number of attempts that may have been billed although no reply arrived.
        cost_usd: Cost of the calls in US dollars; None if the price is unknown.
        lost_usd: Estimated cost of the lost attempts in US dollars; None if the price is unknown.
    """

    role: str
    model: str
    price: str | None
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    attempts: int
    seconds: float
    lost_attempts: int
    lost_prompt_tokens: int
    lost_completion_tokens: int
    cost_usd: float | None
    lost_usd: float | None


COUNTED = ("attempts", "seconds", "lost_attempts", "lost_prompt_tokens", "lost_completion_tokens")


class Prices:
    """Prices for the calls in a run's ledger: the prices that the user set, or otherwise the list
    prices.

    Specs in `models` take precedence over the models in the run's manifest. If a spec sets no
    price, a price that the manifest sets is kept.
    """

    def __init__(self, run: Run, models: Mapping[str, ModelSpec] | None = None) -> None:
        self._folder = run.folder
        self._pricers: dict[tuple[str, str], tuple[Pricer | None, str]] = {}
        described_roles: dict[str, Any] = run.manifest.get("models") or {}
        for role, described in described_roles.items():
            self._take(role, described)
        for name in run.judges():
            if judge := scores_manifest(run.folder / "scores" / f"{name}.jsonl"):
                self._take(JUDGE, {**judge, "name": judge.get("judged_by", {}).get("model")})
        for role, spec in (models or {}).items():
            if (
                spec.price is None
                and self._pricers.get((role, spec.identity), (None, ""))[1] == "own"
            ):
                continue
            if spec.kind == "endpoint" and not spec.price:
                self._pricers[role, spec.identity] = _by_list(listed_for(spec))
            else:
                self._pricers[role, spec.identity] = (
                    pricer(spec),
                    "own" if spec.price else "local",
                )

    def _own(self, price: Any) -> Pricer:
        try:
            return Price.model_validate(price).usd
        except ValidationError as error:
            raise RunFolderError(
                f"{self._folder}: a manifest contains the invalid price {price}; correct it"
            ) from error

    def _take(self, role: str, described: Mapping[str, Any]) -> None:
        name, own = str(described.get("name")), described.get("price")
        if own:
            price = (self._own(own), "own")
        elif described.get("kind") in ("embedded", "scripted", "transformers"):
            price = (pricer(ModelSpec(name="embedded")), "local")
        else:
            price = _by_list(_listed(described, name))
        self._pricers[role, name] = price

    def of(self, role: str, model: str) -> tuple[Pricer | None, str]:
        """Return the pricer for a role's calls (None if the price is unknown) and the source of the
        price."""
        return self._pricers.get((role, model)) or _by_list(listed(model, None))


def _listed(described: Mapping[str, Any], name: str) -> Listed | None:
    """Return the list price of a model described in a manifest; None if the model has none."""
    if described.get("kind") == "http":
        return None
    url = described.get("base_url")
    return listed(name, url if isinstance(url, str) else None)


def _by_list(price: Listed | None) -> tuple[Pricer | None, str]:
    if price is None:
        return None, "list"
    return price.usd, "assumed" if price.assumed else "list"


def spending(run: Run, prices: Prices | None = None, judge: str | None = None) -> list[Spending]:
    """Return one `Spending` for each pair of a role and a model, with judges last.

    Args:
        run: Run whose ledger is read.
        prices: Prices for the calls. Default: the run's own prices.
        judge: Name of a judge. If given, only this judge's calls are counted.
    """
    prices = prices or Prices(run)
    totals: dict[tuple[str, str], Counter[str]] = {}
    usd: dict[tuple[str, str], list[float]] = {}
    for row in run.ledger(judge):
        key = (row["role"], row["model"])
        total, cost = totals.setdefault(key, Counter()), usd.setdefault(key, [0.0, 0.0])
        usage, lost = usage_of(row), usage_of(row, "lost_")
        total["calls"] += "lost_attempts" not in row
        total.update(usage.model_dump())
        total.update({name: row.get(name, 0) for name in COUNTED})
        price, _ = prices.of(*key)
        if price:
            cost[0] += price(usage)
            cost[1] += price(lost)
    rows: list[Spending] = []
    for key in sorted(totals, key=lambda key: (key[0] == JUDGE, key)):
        price, whose = prices.of(*key)
        cost, lost = usd[key] if price else (None, None)
        named = (*key, whose if price else None)
        rows.append(Spending(*named, **totals[key], cost_usd=cost, lost_usd=lost))
    return rows


def usage_of(row: Mapping[str, Any], prefix: str = "") -> Usage:
    """Return the token counts of a ledger row. The prefix `lost_` selects the tokens that may have
    been billed although no reply arrived."""
    return Usage(**{name: row.get(prefix + name, 0) for name in Usage.model_fields})


def total_usd(rows: Iterable[Spending], *, lost: bool = False) -> float | None:
    """Return the total cost of rows of `spending` in US dollars; None if a price is unknown.

    Args:
        rows: Rows to add up.
        lost: Whether to include attempts that may have been billed although no reply arrived.
    """
    costs: list[float] = []
    losses: list[float] = []
    for row in rows:
        if row.cost_usd is None or row.lost_usd is None:
            return None
        costs.append(row.cost_usd)
        losses.append(row.lost_usd)
    return sum(costs) + (sum(losses) if lost else 0.0)
