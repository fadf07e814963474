"""A run's budget: the prices of calls, the earlier spending, and the message when the budget is
exhausted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convogen.costs.ledger_costs import Spending, spending, total_usd, usage_of
from convogen.errors import BudgetReached, ModelConfigError
from convogen.models.prices import Pricer, pricer
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Budget, Limits
from convogen.storage.run_folder import Run, RunStore
from convogen.text.counting import counted

__all__ = [
    "charge_calls",
    "charge_earlier_spending",
    "describe_asking_stop",
    "describe_budget_stop",
    "limits_beside",
    "remaining_limits",
    "role_prices",
]


def role_prices(models: Mapping[str, ModelSpec], limits: Limits) -> dict[str, Pricer]:
    """Return the pricer for each role. The result is empty if no limit in US dollars is set.

    Raises:
        ModelConfigError: If the budget requires a price that is unknown.
    """
    if limits.usd is None:
        return {}
    prices: dict[str, Pricer] = {}
    unknown: set[str] = set()
    for role, spec in models.items():
        by_model = {one.identity: pricer(one) for one in (spec, *spec.fallback)}
        unknown |= {name for name, price in by_model.items() if price is None}
        known = [price for price in by_model.values() if price is not None]
        if len(known) == len(by_model):
            prices[role] = _dearest(known)
    if unknown:
        raise ModelConfigError(
            f"a budget in USD needs the price of {', '.join(sorted(unknown))}, which convogen does "
            "not know; set prices in USD per million tokens with --price INPUT,OUTPUT[,CACHED] or "
            "with `price` in the experiment, or use --budget-tokens"
        )
    return prices


def _dearest(prices: Sequence[Pricer]) -> Pricer:
    """Return a pricer that charges the highest of several prices for each call."""
    return prices[0] if len(prices) == 1 else lambda usage: max(price(usage) for price in prices)


def charge_earlier_spending(budget: Budget, store: RunStore) -> None:
    """Charge the cost of all calls in the run folder so far; raise `ModelConfigError` if the cost
    is unknown."""
    budget.spent_usd, budget.spent_tokens = _spent(budget.limits, store)


def charge_calls(
    budget: Budget, ledger: Iterable[Mapping[str, Any]], prices: Mapping[str, Pricer]
) -> None:
    """Charge the calls in a ledger, including lost attempts at their maximum cost."""
    for row in ledger:
        usage = usage_of(row) + usage_of(row, "lost_")
        budget.spent_tokens += usage.prompt_tokens + usage.completion_tokens
        if price := prices.get(row["role"]):
            budget.spent_usd += price(usage)


def limits_beside(
    limits: Limits, ledgers: Iterable[Iterable[Mapping[str, Any]]], prices: Mapping[str, Pricer]
) -> Limits:
    """Return the limits that remain after the cost of the calls in these ledgers is deducted."""
    if limits.usd is None and limits.tokens is None:
        return limits
    others = Budget(limits, prices)
    for ledger in ledgers:
        charge_calls(others, ledger, prices)
    return replace(
        limits,
        usd=None if limits.usd is None else max(0.0, limits.usd - others.spent_usd),
        tokens=None if limits.tokens is None else max(0, limits.tokens - others.spent_tokens),
    )


def remaining_limits(limits: Limits, others: Iterable[Run], elapsed_s: float) -> Limits:
    """Return the remaining limits for a run that shares its limits with other runs.

    `elapsed_s` is the time in seconds that counts towards the deadline.
    """
    spent = [_spent(limits, run) for run in others]
    usd, tokens, ends = limits.usd, limits.tokens, limits.deadline_s
    return Limits(
        None if usd is None else max(0.0, usd - sum(one for one, _ in spent)),
        None if tokens is None else max(0, tokens - sum(one for _, one in spent)),
        None if ends is None else ends - elapsed_s,
    )


def _spent(limits: Limits, run: Run) -> tuple[float, int]:
    """Return the cost of a run folder in US dollars and in tokens, with lost attempts at their
    maximum cost. Both values are 0 if neither dollars nor tokens are limited."""
    if limits.usd is None and limits.tokens is None:
        return 0.0, 0
    rows = spending(run)
    usd = total_usd(rows, lost=True)
    if usd is None and limits.usd is not None:
        unknown = ", ".join(sorted({row.model for row in rows if row.cost_usd is None}))
        raise ModelConfigError(
            f"{run.folder}: a budget in USD covers the whole folder, including its judges, but "
            f"convogen does not know the price of {unknown}; run `convogen evaluate` again with "
            "--price, or use --budget-tokens"
        )
    return usd or 0.0, _tokens(rows)


def _tokens(rows: Sequence[Spending]) -> int:
    own = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    return own + sum(row.lost_prompt_tokens + row.lost_completion_tokens for row in rows)


def describe_budget_stop(reached: BudgetReached, store: RunStore, n: int) -> BudgetReached:
    """Return a one-line error with the reason, the progress, the cost, and advice on how to
    resume."""
    rows = spending(store)
    usd = total_usd(rows, lost=True)
    cost = "cost unknown" if usd is None else f"${usd:.4f}"
    lost = any(row.lost_attempts for row in rows)
    cut = ", including interrupted calls at their maximum cost" if lost else ""
    return BudgetReached(
        f"{reached}; done: {store.n_conversations} of {counted(n, 'conversation')} in "
        f"{store.folder}, "
        f"{counted(_tokens(rows), 'token')}, {cost}{cut}; {_how_to_resume(reached)}",
        reached.option,
    )


def describe_asking_stop(
    reached: BudgetReached, done: int, n: int, what: str, folder: Path
) -> BudgetReached:
    """Return a one-line error with the reason, the progress, and advice on how to resume."""
    return BudgetReached(
        f"{reached}; done: {done} of {n} {what} in {folder}; {_how_to_resume(reached)}",
        reached.option,
    )


def _how_to_resume(reached: BudgetReached) -> str:
    more = "later" if reached.option == "--deadline" else "larger"
    return f"all answers are kept; to resume, run the same command with a {more} {reached.option}"
