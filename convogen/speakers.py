"""Who is who in a group chat: identifiers for names, and whom a selector's reply means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from anyascii import anyascii

__all__ = ["agent_keys", "longest_silent", "resolve_speaker"]


def agent_keys(names: Sequence[str]) -> dict[str, str]:
    """ASCII identifiers for names, as AutoGen wants them: key -> name, in the same order."""
    keys: dict[str, str] = {}
    for place, name in enumerate(names, 1):
        key = re.sub(r"\W+", "_", anyascii(name)).strip("_")
        if not key or not key[0].isalpha() or key.casefold() in {"user", "system"}:
            key = f"Person_{place}"
        while key in keys:
            key = f"{key}_{place}"
        keys[key] = name
    return keys


def resolve_speaker(reply: str, candidates: Mapping[str, str]) -> str | None:
    """The one candidate that a selector's reply names; None where it names none or several.

    `candidates` maps keys to names. A key, a full name or an unambiguous first name counts,
    whatever the case; of several mentions only the reply's first line counts.
    """
    first_line = reply.strip().split("\n")[0]
    text = f" {_fold(first_line)} "
    whole = {key: {_fold(key), _fold(name)} for key, name in candidates.items()}
    first = {key: {_fold(name).split(" ")[0]} for key, name in candidates.items()}
    for labels in (whole, first):
        named = [k for k in candidates if any(f" {label} " in text for label in labels[k] - {""})]
        if len(named) == 1:
            return named[0]
    return None


def _fold(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.replace("_", " ").casefold()))


def longest_silent(candidates: Sequence[str], spoke: Sequence[str]) -> str:
    """The candidate who spoke longest ago or never; the first of them where several have not.

    `spoke` lists the speakers so far, in order.
    """
    last = {speaker: at for at, speaker in enumerate(spoke)}
    return min(candidates, key=lambda name: last.get(name, -1))
