"""Number types for the command line, which, unlike Python, do not read `1_0` as 10."""

from __future__ import annotations

import math
import re
from typing import Any, cast

import click

__all__ = ["Amount", "WholeNumber", "finite"]

_WHOLE = re.compile(r"[-+]?[0-9]{1,40}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class WholeNumber(click.IntRange):
    """An integer of at most 64 bits, which every file of a run can store."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
            self.fail(f"{value[:40]!r} is not a whole number", param, ctx)
        number: int = super().convert(cast("Any", value), param, ctx)
        if not -(2**63) <= number < 2**63:
            self.fail(f"{value} does not fit in 64 bits", param, ctx)
        return number


class Amount(click.FloatRange):
    """A finite number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and finite(value) is None:
            self.fail(f"{value[:40]!r} is not a finite number", param, ctx)
        return super().convert(cast("Any", value), param, ctx)


def finite(text: str) -> float | None:
    """Return a string as a finite number, or None if it is not a finite number."""
    number = float(text) if _DECIMAL.fullmatch(text.strip()) else math.nan
    return number if math.isfinite(number) else None
