"""A run's budget: what its calls cost, what its folder has cost before, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convogen.costs.ledger_costs import Spending, spending, total_usd
from convogen.errors import BudgetReached, ModelConfigError
from convogen.experiment.experiment import Experiment
from convogen.models.prices import Pricer, pricer
from convogen.models.traffic.budget import Budget, Limits
from convogen.storage.run_folder import Run, RunStore

__all__ = ["charge_earlier_spending", "describe_budget_stop", "remaining_limits", "role_prices"]


def role_prices(experiment: Experiment, limits: Limits) -> dict[str, Pricer]:
    """What the roles' calls cost, where a budget asks; else no call is priced while a run goes on.

    Raises `ModelConfigError` where the budget needs a price that is not known.
    """
    if limits.usd is None:
        return {}
    prices: dict[str, Pricer] = {}
    unknown: set[str] = set()
    for role in experiment.roles:
        spec = experiment.model(role)
        by_model = {one.identity: pricer(one) for one in (spec, *spec.fallback)}
        unknown |= {name for name, price in by_model.items() if price is None}
        known = [price for price in by_model.values() if price is not None]
        if len(known) == len(by_model):
            prices[role] = _dearest(known)
    if unknown:
        raise ModelConfigError(
            f"a budget in USD needs the price of {', '.join(sorted(unknown))}, which is not known; "
            "set it in USD per million tokens, --price INPUT,OUTPUT[,CACHED], or `price` of the "
            "model in the experiment; or use --budget-tokens"
        )
    return prices


def _dearest(prices: Sequence[Pricer]) -> Pricer:
    """The price of a call that any of several models may answer: at most that."""
    return prices[0] if len(prices) == 1 else lambda usage: max(price(usage) for price in prices)


def charge_earlier_spending(budget: Budget, store: RunStore) -> None:
    """What the folder has cost before counts; raises `ModelConfigError` where that is unknown."""
    budget.spent_usd, budget.spent_tokens = _spent(budget.limits, store)


def remaining_limits(limits: Limits, others: Iterable[Run], elapsed_s: float) -> Limits:
    """What a run may take of limits that it shares with other runs, after so many seconds."""
    spent = [_spent(limits, run) for run in others]
    usd, tokens, ends = limits.usd, limits.tokens, limits.deadline_s
    return Limits(
        None if usd is None else max(0.0, usd - sum(one for one, _ in spent)),
        None if tokens is None else max(0, tokens - sum(one for _, one in spent)),
        None if ends is None else ends - elapsed_s,
    )


def _spent(limits: Limits, run: Run) -> tuple[float, int]:
    """US dollars and tokens that a folder has cost, as far as limits ask; at most, where lost."""
    if limits.usd is None and limits.tokens is None:
        return 0.0, 0
    rows = spending(run)
    usd = total_usd(rows, lost=True)
    if usd is None and limits.usd is not None:
        unknown = ", ".join(sorted({row.model for row in rows if row.cost_usd is None}))
        raise ModelConfigError(
            f"{run.folder}: a budget in USD covers the whole folder, and the price of {unknown}, "
            "which judged here, is not known; run evaluate again with --price, or use "
            "--budget-tokens"
        )
    return usd or 0.0, _tokens(rows)


def _tokens(rows: Sequence[Spending]) -> int:
    own = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    return own + sum(row.lost_prompt_tokens + row.lost_completion_tokens for row in rows)


def describe_budget_stop(reached: BudgetReached, store: RunStore, n: int) -> BudgetReached:
    """The end of a run in one line: why, what is done, what was spent, how to go on."""
    rows = spending(store)
    usd = total_usd(rows, lost=True)
    cost = "cost unknown" if usd is None else f"${usd:.4f}"
    lost = any(row.lost_attempts for row in rows)
    cut = ", calls cut off counted at their most" if lost else ""
    more = "later" if reached.option == "--deadline" else "larger"
    return BudgetReached(
        f"{reached}; done: {store.n_conversations} of {n} conversations in {store.folder}, "
        f"{_tokens(rows):,} tokens, {cost}{cut}; all answers are kept; to go on: the same command "
        f"with a {more} {reached.option}",
        reached.option,
    )
