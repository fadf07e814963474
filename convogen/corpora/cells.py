"""Protection of CSV cells against evaluation as formulas, and removal of this protection.

Text that begins with `=`, `+`, `-`, `@` (or their full-width forms), a tab or a line break is
prefixed with an apostrophe (see OWASP on CSV injection). Text that has apostrophes before such a
character is also prefixed, which makes the encoding reversible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["CSV_SAFE", "protected", "restored", "restored_row"]

CSV_SAFE = "csv_safe"
"""The column that marks a CSV file whose cells are protected."""

_RISKY = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
_PROTECTED = re.compile(rf"'{_RISKY.pattern}")


def protected(text: str) -> str:
    """Return the text as a cell that spreadsheets do not evaluate as a formula."""
    return f"'{text}" if _RISKY.match(text) else text


def restored(cell: str) -> str:
    """Return the original text of a cell made by `protected`."""
    return cell[1:] if _PROTECTED.match(cell) else cell


def restored_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row, with cells and column names restored if the `CSV_SAFE` column is set."""
    if not row.get(CSV_SAFE):
        return dict(row)
    return {
        restored(str(key)): restored(value) if isinstance(value, str) else value
        for key, value in row.items()
        if key != CSV_SAFE
    }
