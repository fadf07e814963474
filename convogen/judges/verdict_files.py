"""Verdict files: a judge's verdict on each dialogue, one JSON object per line.

The protocols are those of DialogueForge (section 4). `unieval` asks whether a dialogue contains an
utterance that a machine wrote; its pass rate is the share of `No` verdicts. `gteval` shows a real
and a generated dialogue side by side. The generated dialogue passes if the choice does not name it,
so `Both` and `Neither` also count. A score file written by convogen is also a verdict file. A
dialogue without a verdict counts as not passed.

A simulated dialogue begins with the real utterance of its seed. If a UniEval judge attributes that
utterance to a machine, this is a false alarm.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, cast

from convogen.errors import SourceError
from convogen.inputs.text_file import open_file
from convogen.judges.human_likeness import read_place

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "Verdict",
    "Verdicts",
    "choice_passes",
    "count_verdicts",
    "load_verdicts",
    "read_verdicts",
    "wilson",
]

Protocol = Literal["unieval", "gteval"]

PROTOCOLS: dict[Protocol, tuple[str, ...]] = {
    "unieval": ("Yes", "No"),
    "gteval": ("Conversation 1", "Conversation 2", "Both", "Neither"),
}
"""The allowed choices of each protocol."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one dialogue; `choice` is None if the judge gave no choice.

    `passed` says whether the dialogue passes. `place` is the position at which the generated
    dialogue of a pair was shown, if the order was drawn at random; `choice` is then recorded as if
    that dialogue had been shown second. `index` is the number, from 1, of the utterance that
    UniEval attributes to a machine; None if it names no utterance.
    """

    choice: str | None
    passed: bool
    conversation: str | None = None
    place: Literal[1, 2] | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts in one file: the count of each choice, and the pass rate.

    `n` is the number of all dialogues, and `missing` the number of dialogues without a verdict.
    `rate` is the pass rate, and `low` and `high` are the bounds of its 95% Wilson interval; all
    three are percentages. `false_alarms` is the number of dialogues whose first utterance the judge
    attributes to a machine, and `false_alarm_rate` is their percentage. Both are None if the
    protocol names no utterances or the dialogues begin with generated text.
    """

    name: str
    _: KW_ONLY
    n: int
    passed: int
    rate: float
    low: float
    high: float
    counts: dict[str, int]
    missing: int
    false_alarms: int | None = None
    false_alarm_rate: float | None = None


def read_verdicts(path: Path, protocol: Protocol, generated: Literal[1, 2] = 2) -> Verdicts:
    """Return the counts and the pass rate of the verdicts in a file.

    `generated` is the position of the generated conversation in GTEval. Raises `SourceError` if the
    file contains no verdict or, with the line number, if a verdict is invalid.
    """
    return count_verdicts(path.stem, load_verdicts(path, protocol, generated), protocol)


def count_verdicts(
    name: str, verdicts: Sequence[Verdict], protocol: Protocol, *, begin_real: bool = True
) -> Verdicts:
    """Return the counts and the pass rate of a non-empty list of verdicts.

    Args:
        name: The name of the file or run.
        verdicts: The verdicts; at least one is required.
        protocol: The judge's protocol.
        begin_real: Whether a person wrote the first utterance of each dialogue.
    """
    counts = Counter(dict.fromkeys(PROTOCOLS[protocol], 0))
    counts.update(verdict.choice for verdict in verdicts if verdict.choice is not None)
    n, passed = len(verdicts), sum(verdict.passed for verdict in verdicts)
    low, high = wilson(passed, n)
    pass_rate = Verdicts(
        name,
        n=n,
        passed=passed,
        rate=100 * passed / n,
        low=100 * low,
        high=100 * high,
        counts=dict(counts),
        missing=n - counts.total(),
    )
    if protocol != "unieval" or not begin_real:
        return pass_rate
    alarms = sum(verdict.index == 1 for verdict in verdicts)
    return replace(pass_rate, false_alarms=alarms, false_alarm_rate=100 * alarms / n)


def load_verdicts(path: Path, protocol: Protocol, generated: Literal[1, 2] = 2) -> list[Verdict]:
    """Return the verdicts in a file, in order; the file may also be a score file written by
    convogen.

    Raises `SourceError` if the file contains no verdict or, with the line number, if a verdict is
    invalid.
    """
    try:
        with open_file(path) as file:
            lines = TextIOWrapper(file, "utf-8-sig")
            verdicts = list(_verdicts(lines, path, protocol, generated))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    if not verdicts:
        raise SourceError(
            f"{path}: contains no verdicts; each line must be an object with a `choice`"
        )
    choices: dict[str, str | None] = {}
    for verdict in verdicts:
        name = verdict.conversation
        if name is not None and choices.setdefault(name, verdict.choice) != verdict.choice:
            raise SourceError(
                f"{path}: two verdicts on {name!r} contradict each other; keep only the correct "
                "verdict"
            )
    return verdicts


def _verdicts(
    lines: Iterator[str], path: Path, protocol: Protocol, generated: Literal[1, 2]
) -> Iterator[Verdict]:
    allowed = {choice.casefold(): choice for choice in PROTOCOLS[protocol]}
    for number, line in enumerate(lines, 1):
        if line.strip():
            row, where = _row(line), f"{path} line {number}"
            ours = row.get("judge") == protocol and isinstance(row.get("conversation"), str)
            choice = _choice(row, allowed, where, ours)
            passed = choice is not None and choice_passes(
                choice, protocol, 2 if ours else generated
            )
            place = row.get("place")
            conversation = row["conversation"] if ours else None
            index = read_place(row.get("index")) if choice == "Yes" else None
            yield Verdict(
                choice, passed, conversation, place if ours and place in (1, 2) else None, index
            )


def choice_passes(choice: str, protocol: Protocol, generated: Literal[1, 2] = 2) -> bool:
    """Return whether a dialogue passes; `generated` is the position of the generated dialogue in a
    GTEval pair."""
    return choice == "No" if protocol == "unieval" else choice != f"Conversation {generated}"


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    return cast("dict[str, Any]", row) if isinstance(row, dict) else {}


def _choice(row: dict[str, Any], allowed: dict[str, str], where: str, ours: bool) -> str | None:
    choice = row.get("choice")
    if ours and choice is None:
        return None
    known = allowed.get(" ".join(choice.split()).casefold()) if isinstance(choice, str) else None
    if known is None:
        missing = "must be a JSON object with a `choice`"
        fault = missing if choice is None else f"unknown choice {choice!r:.60}"
        raise SourceError(f"{where}: {fault}; allowed: {', '.join(allowed.values())}")
    return known


def wilson(passed: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson interval for a share (Wilson, 1927).

    Raises `ValueError` if n is 0.
    """
    stats: Any = import_module("scipy.stats")
    interval = stats.binomtest(passed, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
