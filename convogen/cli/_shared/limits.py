"""Options that limit the money, tokens and time that a command may use."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.numbers import Amount, WholeNumber

if TYPE_CHECKING:
    from convogen.models.traffic.budget import Limits

__all__ = ["budget_options", "limit_options", "seconds_until"]

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)

LATEST_DAYS = 3650
"""The latest deadline, in days from now."""


BUDGET_USD = click.option(
    "--budget-usd",
    type=Amount(min=0, min_open=True),
    metavar="X",
    help="Spending limit in US dollars, including the cost of earlier runs of the command. A model "
    "call starts only if the remaining budget covers its cost.",
)
BUDGET_TOKENS = click.option(
    "--budget-tokens",
    type=WholeNumber(min=1),
    metavar="N",
    help="Limit on the number of prompt and completion tokens, including those used in earlier "
    "runs of the command.",
)


def budget_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that limit money and tokens; the command receives them as `limits`."""

    @BUDGET_USD
    @BUDGET_TOKENS
    @functools.wraps(function)
    def with_limits(
        *args: Any, budget_usd: float | None, budget_tokens: int | None, **kwargs: Any
    ) -> None:
        from convogen.models.traffic.budget import Limits

        function(*args, limits=Limits(budget_usd, budget_tokens), **kwargs)

    return with_limits


def limit_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that limit money, tokens and time; the command receives them as `limits`."""

    @budget_options
    @click.option(
        "--deadline",
        "deadline_s",
        metavar="WHEN",
        callback=_deadline,
        help="Time at which to stop: a duration from now such as 90m or 2h30m, a time of day such "
        "as 18:30, or an ISO time. Model calls that are still in flight at that time are "
        "cancelled.",
    )
    @functools.wraps(function)
    def with_limits(*args: Any, limits: Limits, deadline_s: float | None, **kwargs: Any) -> None:
        function(*args, limits=replace(limits, deadline_s=deadline_s), **kwargs)

    return with_limits


def seconds_until(when: str, now: datetime) -> float:
    """Return the number of seconds from `now` to a deadline.

    Args:
        when: A duration, a time of day (its next occurrence) or an ISO time.
        now: The current time. Its time zone applies to deadlines without a time zone.

    Raises:
        ValueError: The deadline is malformed, in the past or more than ten years away.
    """
    text = when.strip()
    if text and (parts := DURATION.fullmatch(text)):
        days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
        left_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    else:
        left_s = _moment(text, now).timestamp() - now.timestamp()
    if left_s <= 0:
        raise ValueError("this time has already passed; give a later time")
    if left_s > LATEST_DAYS * 86_400:
        raise ValueError(f"this time is more than {LATEST_DAYS} days away; give an earlier time")
    return left_s


def _moment(text: str, now: datetime) -> datetime:
    try:
        at = time.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                "must be a duration or a time, such as 90m, 2h30m, 18:30 or 2030-01-31T18:30"
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
    today = datetime.combine(now.date(), at, at.tzinfo or now.tzinfo)
    return today if today > now else today + timedelta(days=1)


def _deadline(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return seconds_until(value, datetime.now(UTC).astimezone())
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value[:80]}: {error}", param=option) from error
