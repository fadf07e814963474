"""Formats for numbers and times on the pages."""

from __future__ import annotations

from typing import Any

from convogen.text.language_tags import language_name

__all__ = ["FILTERS", "duration_text", "number_text", "score_text", "usd_text"]


def usd_text(usd: float | None) -> str:
    """Return an amount with 2 decimals, or with 4 if it is below $1; "unknown" for None."""
    if usd is None:
        return "unknown"
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.0001 else "under $0.0001"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest units, for example `45 s` or `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} days"


def number_text(number: float | None) -> str:
    """Return a number with thousands separators, or a dash for None."""
    return "–" if number is None else f"{number:,}"


def score_text(value: float | None) -> str:
    """Return a score in a few characters, whatever its size, or a dash for None."""
    if value is not None and abs(value) >= 1e6:
        return f"{value:.3g}"
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def language_text(tag: str | None) -> str:
    """Return the name of a language, or its tag if it has no name; "" for None."""
    return language_name(tag) if tag else ""


FILTERS: dict[str, Any] = {
    "usd": usd_text,
    "duration": duration_text,
    "number": number_text,
    "score": score_text,
    "language": language_text,
}
"""Functions available in every template."""
