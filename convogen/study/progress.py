"""Participants' progress, speed and attention checks."""

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
        step: The next step; None if all steps are done.
        items: Number of answered items.
        of: Total number of items.
        seconds: Median seconds per answered item; None before the first answer to an item.
        checks: Number of answered attention checks.
        passed: Number of passed attention checks.
        last: Time of the latest answer, in seconds since 1970; None before the first answer.
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
    """Return the answer to a pair as a record."""
    at = datetime.fromtimestamp(answer.at, UTC).isoformat(timespec="seconds")
    return PairAnswer(
        **item, **answer.body, seconds=round(answer.seconds, 3), answered_at=f"{at[:-6]}Z"
    )


def check_passed(item: Mapping[str, Any], body: Mapping[str, Any]) -> bool | None:
    """Return whether an attention check was passed, or None if the item is not a check."""
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
