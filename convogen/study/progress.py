"""Participants' progress, their speed, and whether they read what they judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from convogen.study.answers import PairAnswer
from convogen.study.plan import next_step
from convogen.study.store import Store
from convogen.study.study_file import Design
from convogen.study.tables import Answer, Participant

__all__ = ["Progress", "check_passed", "pair_answer", "progress_of"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One participant's progress.

    Attributes:
        step: The next step; None if all are done.
        items: Items answered.
        of: Total number of items.
        seconds: Median time per answered item; None before the first answer.
        checks: Attention checks answered.
        passed: Attention checks passed.
        last: When the latest answer arrived, in seconds since 1970; None before the first.
    """

    participant: Participant
    step: str | None
    items: int
    of: int
    seconds: float | None
    checks: int
    passed: int
    last: float | None


def pair_answer(item: Mapping[str, Any], answer: Answer) -> PairAnswer:
    """Return the record of a pair's answer."""
    at = datetime.fromtimestamp(answer.at, UTC).isoformat(timespec="seconds")
    return PairAnswer(
        **item, **answer.body, seconds=round(answer.seconds, 3), answered_at=f"{at[:-6]}Z"
    )


def check_passed(item: Mapping[str, Any], body: Mapping[str, Any]) -> bool | None:
    """Return whether an attention check was passed; None if the item is not one."""
    if item.get("attention_check"):
        return body["choice"] == item["artificial_side"]
    if "expected" in item:
        return all(point == item["expected"] for point in body["ratings"].values())
    return None


def progress_of(design: Design, store: Store, participant: Participant) -> Progress:
    """Return a participant's progress."""
    items, answered = store.items(participant.id), store.answers(participant.id)
    pairs = [
        (item, answered[f"item:{at}"]) for at, item in enumerate(items) if f"item:{at}" in answered
    ]
    passed = [check_passed(item, answer.body) for item, answer in pairs]
    return Progress(
        participant=participant,
        step=next_step(design, len(items), answered),
        items=len(pairs),
        of=len(items),
        seconds=median(answer.seconds for _, answer in pairs) if pairs else None,
        checks=sum(one is not None for one in passed),
        passed=sum(one is True for one in passed),
        last=max((one.at for one in answered.values()), default=None),
    )
