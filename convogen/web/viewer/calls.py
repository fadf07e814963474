"""The model calls for a conversation: the turn that each call was made for, and its cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convogen.costs.ledger_costs import Prices, usage_of
from convogen.jsonl import rows_of_task
from convogen.models.traffic.journal import check_call
from convogen.records import Turn, Usage
from convogen.storage.run_folder import Run

__all__ = ["Call", "Spent", "calls_by_turn", "calls_of", "spent_on"]


@dataclass(frozen=True, slots=True)
class Call:
    """An answered model call: the hash of its request, the reply or the error, and the cost."""

    request: str
    role: str
    model: str
    text: str
    fault: str | None
    usage: Usage
    usd: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """The cost of one role's calls to one model; `usd` is None if the price is unknown."""

    role: str
    model: str
    calls: int
    usage: Usage
    seconds: float
    usd: float | None


def calls_of(run: Run, task: int, prices: Prices) -> list[Call]:
    """Return the answered model calls for a committed task, in the order in which they were made.

    Raises `RunFolderError` if the model calls cannot be read.
    """
    return [_call(row, prices) for row in run.calls(task)]


def calls_by_turn(turns: Sequence[Turn], calls: Sequence[Call]) -> list[list[Call]]:
    """Return the model calls made for each turn, with the accepted call last.

    A turn's calls come after the previous turn's accepted call, and were made either by the
    selector or by the same role as the turn's own accepted call.
    """
    found: list[list[Call]] = []
    start = 0
    for turn in turns:
        end = start
        if turn.request is not None:
            places = range(start, len(calls))
            end = next((at + 1 for at in places if calls[at].request == turn.request), start)
        roles = {calls[end - 1].role, "selector"} if end > start else set[str]()
        found.append([call for call in calls[start:end] if call.role in roles])
        start = end
    return found


def spent_on(run: Run, task: int, prices: Prices) -> list[Spent]:
    """Return the cost of a committed task for each role and model.

    Raises `RunFolderError` if a ledger row is invalid.
    """
    path = run.folder / "ledger.jsonl"
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows_of_task(path, task):
        check_call(path, row)
        if "lost_attempts" not in row:
            rows.setdefault((row["role"], row["model"]), []).append(row)
    return [_spent(role, model, own, prices) for (role, model), own in rows.items()]


def _spent(role: str, model: str, rows: Iterable[Mapping[str, Any]], prices: Prices) -> Spent:
    price, _ = prices.of(role, model)
    usages = [(usage_of(row), float(row.get("seconds", 0))) for row in rows]
    return Spent(
        role=role,
        model=model,
        calls=len(usages),
        usage=sum((usage for usage, _ in usages), Usage()),
        seconds=sum(seconds for _, seconds in usages),
        usd=sum(price(usage) for usage, _ in usages) if price else None,
    )


def _call(row: Mapping[str, Any], prices: Prices) -> Call:
    usage = Usage.model_validate(row.get("usage") or {})
    price, _ = prices.of(row["role"], row["model"])
    fault: Any = row.get("fault")
    if isinstance(fault, dict):
        kind, message = fault.get("kind", ""), fault.get("message", "")  # pyright: ignore
        fault = f"{kind}: {message}"
    return Call(
        request=str(row["key"]).partition(".")[0],
        role=row["role"],
        model=row["model"],
        text=str(row.get("text") or ""),
        fault=None if fault is None else str(fault),
        usage=usage,
        usd=price(usage) if price else None,
    )
