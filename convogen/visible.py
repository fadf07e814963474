"""Functions that make untrusted text safe for a terminal or a page.

Control characters can move a terminal's cursor or change its colours and window title. Characters
that control the writing direction can reorder a line. Both kinds of characters are shown as
escapes. Record files contain them unchanged.

>>> print(visible("a\\x1b[31mb\\x9bc"))
a\\x1b[31mb\\x9bc
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["as_json", "isolated", "visible"]

_HIDDEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""A pattern for control characters other than the newline, line separators, marks that change the
writing direction, and lone surrogates."""


_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff]")
"""A pattern for letters of right-to-left scripts."""


def visible(text: object) -> str:
    """Return text with tabs replaced by spaces, and with control characters other than the newline
    escaped."""
    plain = str(text).replace("\r\n", "\n").replace("\t", "    ")
    return _HIDDEN.sub(lambda one: ascii(one[0])[1:-1], plain)


def isolated(text: str) -> str:
    """Return visible text that can share a line with other text, whatever its direction.

    Text with right-to-left letters is enclosed in directional isolates (UAX #9) so that it does not
    reorder the surrounding text. Any other text is unchanged.
    """
    return f"\u2068{text}\u2069" if _RIGHT_TO_LEFT.search(text) else text


def as_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON in which unsafe characters are escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _HIDDEN.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
