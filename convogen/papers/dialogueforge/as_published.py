"""DialogueForge's published rates, and the conditions for comparing verdicts with them.

The conditions concern the inquirer's name, which endpoints spell in different ways, and the
judging: the order of two dialogues, the prompt and the judge's model (sections 3.2.4 and 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from convogen.judges.verdict_files import Protocol
from convogen.published import Cell, published

__all__ = [
    "DIFFERENCES",
    "PAPERS_JUDGE",
    "REAL",
    "TUNED",
    "judged_otherwise",
    "paper_name",
    "published_change",
    "published_degradation",
    "published_rate",
]

PAPERS_JUDGE = "GPT-4o"

REAL = "real"
"""The model name used for real dialogues."""

TUNED = re.compile(r"[ _-]*(?:\((?:ft|fine-?tuned)\)|[ _-](?:ft|fine-?tuned))$", re.IGNORECASE)
"""Matches the suffix that a fine-tuned model's name adds to the name of its base model."""

_TABLES = {
    ("unieval", "OASST1"): ("1a", "text", "figure-2-oasst1"),
    ("unieval", "Chatbot Arena"): ("1b", "figure-2-arena"),
    ("gteval", "OASST1"): ("2a", "figure-3-oasst1"),
    ("gteval", "Chatbot Arena"): ("2b", "figure-3-arena"),
}

DIFFERENCES = {
    "order": "the order is random (in the paper, the real dialogue comes first)",
    "prompt": "the judge's prompt is convogen's own (the paper does not give its prompt)",
    "judge": f"the judge is a different model (in the paper, it is {PAPERS_JUDGE})",
}
"""Maps each possible difference from the paper's judging to its description."""

_TUNED_TO_CHAT = r"(?:-(?:instruct|it|turbo|versatile|instant|free))*"
_VERSION = r"(?:-v\d[\d.-]*)?"
_LLAMA = rf"(?:meta[-.])?(?:meta-)?llama-?v?3[.p-]{{}}-{{}}b{_TUNED_TO_CHAT}{_VERSION}"
_DATED = r"(?:-\d{4}-\d\d-\d\d)?"
_API_NAMES = {
    "GPT-4o": rf"gpt-4o{_DATED}",
    "GPT-4o mini": rf"gpt-4o-mini{_DATED}",
    "DeepSeek-V3": r"deepseek-(?:v3|chat)(?:-free)?",
    "Llama-3.3-70B": _LLAMA.format(3, 70),
    "Llama-3.2-3B": _LLAMA.format(2, 3),
    "Llama-3.1-8B": _LLAMA.format(1, 8),
    "Gemma-2-27B": rf"gemma-?2-27b{_TUNED_TO_CHAT}",
    "Mistral-7B": rf"(?:open-)?mistral-7b{_TUNED_TO_CHAT}{_VERSION}",
}
"""Maps a model's name in the paper to a pattern for the model's names at providers, in Ollama and
on Hugging Face. Patterns match names in lower case, without the owner, and with `-` for colons,
spaces and underscores."""


def paper_name(model: str) -> str:
    """Return the paper's name for a model, given its API name; return any other name unchanged."""
    name = re.sub(r"[\s:_]+", "-", model.strip().casefold().rsplit("/", 1)[-1])
    known = (paper for paper, names in _API_NAMES.items() if re.fullmatch(names, name))
    return next(known, model)


def judged_otherwise(manifest: Mapping[str, Any] | None, protocol: Protocol) -> list[str] | None:
    """Return how the judging of a run differs from the paper's judging.

    Args:
        manifest: The manifest of the scores; None for a verdict file without a manifest.
        protocol: The protocol of the verdicts.

    Returns:
        Keys of `DIFFERENCES`, in the same order; None if the origin of the verdicts is unknown.
    """
    if manifest is None:
        return None
    judged_by: Any = manifest.get("judged_by")
    told = cast("Mapping[str, Any]", judged_by if isinstance(judged_by, dict) else {})
    otherwise = {
        "order": protocol == "gteval" and told.get("order") != "fixed",
        "prompt": True,
        "judge": paper_name(str(told.get("model"))) != PAPERS_JUDGE,
    }
    return [name for name, differs in otherwise.items() if differs]


def published_rate(
    protocol: Protocol, model: str, data: str | None, utterances: int | None
) -> float | None:
    """Return the paper's rate in percent; None if the paper has no such rate.

    `model` is the paper's name in upper or lower case, or an API name (see `paper_name`). For real
    dialogues (`real`), the rate is the same for all lengths.
    """
    base = TUNED.sub("", model)
    column = REAL if model == REAL else f"{'base' if base == model else 'finetuned'}_{utterances}"
    tables = published("dialogueforge")
    for table in _TABLES.get((protocol, data or ""), ()):
        value = _row(tables[table].rows, paper_name(base)).get(column)
        if isinstance(value, float):
            return value
    return None


def published_change(before: float | None, after: float | None) -> float | None:
    """Return a published rate's change in percentage points; None if either rate is missing."""
    return None if before is None or after is None else round(after - before, 2)


def published_degradation(
    protocol: Protocol, model: str, data: str | None, lengths: tuple[int, int]
) -> float | None:
    """Return how a published rate changes with length, in percentage points; None if unknown.

    The change from 6 to 12 utterances on OASST1 is printed in table 3. Other changes are computed
    from the published rates.

    Args:
        protocol: The judging protocol, `unieval` or `gteval`.
        model: Name of the inquirer's model.
        data: Name of the data set from which the seeds come.
        lengths: Maximum number of utterances in the shorter and in the longer dialogues.
    """
    if data == "OASST1" and lengths == (6, 12):
        base = TUNED.sub("", model)
        row = paper_name(base) if base == model else f"{paper_name(base)} (FT)"
        printed = _row(published("dialogueforge")["3"].rows, row).get(protocol)
        if isinstance(printed, float):
            return printed
    short, long = (published_rate(protocol, model, data, length) for length in lengths)
    return published_change(short, long)


def _row(rows: Mapping[str, Mapping[str, Cell]], name: str) -> Mapping[str, Cell]:
    """Return a model's row, ignoring the case of the model's name."""
    found = [row for known, row in rows.items() if known.casefold() == name.casefold()]
    return found[0] if found else {}
