"""Verdict files: what a judge said of each dialogue, one JSON object a line.

Protocols of DialogueForge (section 4): `unieval` asks whether a dialogue holds an utterance that a
machine made; its pass rate is the share of `No`. `gteval` shows a real and a generated dialogue
side by side; a generated one is indistinguishable where the choice does not name it, so `Both` and
`Neither` count as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

from convogen.errors import SourceError

__all__ = ["PROTOCOLS", "Protocol", "Verdicts", "read_verdicts"]

Protocol = Literal["unieval", "gteval"]

PROTOCOLS: dict[Protocol, tuple[str, ...]] = {
    "unieval": ("Yes", "No"),
    "gteval": ("Conversation 1", "Conversation 2", "Both", "Neither"),
}
"""The choices a judge has."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of one file: how many there are by choice, and how many pass.

    `low` and `high` bound the rate's 95% Wilson interval; all three are percentages.
    """

    name: str
    n: int
    passed: int
    rate: float
    low: float
    high: float
    counts: dict[str, int]


def read_verdicts(path: Path, protocol: Protocol, generated: Literal[1, 2] = 2) -> Verdicts:
    """Count a file's verdicts; `generated` says which conversation of GTEval was the generated one.

    Raises `SourceError` naming the line where one is no verdict, and where there is none.
    """
    counts = Counter(dict.fromkeys(PROTOCOLS[protocol], 0))
    counts.update(_choices(path, protocol))
    n = counts.total()
    if not n:
        raise SourceError(f"{path}: holds no verdict; each line is an object with a `choice`")
    named = counts[f"Conversation {generated}"]
    passed = counts["No"] if protocol == "unieval" else n - named
    low, high = _wilson(passed, n)
    return Verdicts(path.stem, n, passed, 100 * passed / n, low, high, dict(counts))


def _choices(path: Path, protocol: Protocol) -> Iterator[str]:
    allowed = {choice.casefold(): choice for choice in PROTOCOLS[protocol]}
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _choice(line, allowed, f"{path} line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _choice(line: str, allowed: dict[str, str], where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    choice = cast("dict[str, Any]", row).get("choice") if isinstance(row, dict) else None
    found = allowed.get(" ".join(choice.split()).casefold()) if isinstance(choice, str) else None
    if found is None:
        said = "no JSON object with a `choice`" if choice is None else f"choice {choice!r:.60}"
        raise SourceError(f"{where}: {said}; allowed: {', '.join(allowed.values())}")
    return found


def _wilson(passed: int, n: int) -> tuple[float, float]:
    stats: Any = import_module("scipy.stats")
    interval = stats.binomtest(passed, n).proportion_ci(method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)
