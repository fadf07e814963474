"""Who is who in a group chat: identifiers for names, and whom a selector's reply means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from anyascii import anyascii

__all__ = ["agent_keys", "longest_silent", "resolve_speaker", "silence"]


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
    """Return the key of the one candidate that a selector's reply names; None if none or several.

    `candidates` maps keys to names. A line, or a text in double quotes such as a value in JSON,
    that is a name and nothing else decides; the first one does if there are several. Otherwise the
    first line that mentions exactly one candidate decides: by the full name or by a first name that
    no other candidate has, exactly, whatever the case, or whatever the accents.
    """
    reply = reply[:MOST_CHARS].replace("_", " ")
    lines = [line for line in reply.splitlines() if line.strip()]
    for fold in _FOLDS:
        for text in (*lines, *re.findall(r'"([^"\n]+)"', reply)):
            alone = _EDGES.sub("", fold(text))
            named = [key for key, name in candidates.items() if _folded(name, fold) == alone]
            if len(named) == 1:
                return named[0]
    first = {key: name.split()[0] for key, name in candidates.items() if name.split()}
    unique = {key: name for key, name in first.items() if list(first.values()).count(name) == 1}
    for line in lines:
        forms = ((names, fold) for names in (candidates, unique) for fold in _FOLDS)
        named = next((found for form in forms if (found := _mentioned(line, *form))), list[str]())
        if len(named) == 1:
            return named[0]
    return None


def _mentioned(line: str, names: Mapping[str, str], fold: Callable[[str], str]) -> list[str]:
    """Return the keys of the names in a line; a name within a longer one found does not count."""
    text, found = fold(line), list[str]()
    folded = {key: _folded(name, fold) for key, name in names.items()}
    for key, name in sorted(folded.items(), key=lambda item: -len(item[1])):
        whole = re.escape(name) if _UNSPACED.search(name) else rf"(?<!\w){re.escape(name)}(?!\w)"
        if name and re.search(whole, text):
            found.append(key)
            text = re.sub(whole, "\n", text)
    return found


def _folded(name: str, fold: Callable[[str], str]) -> str:
    return _EDGES.sub("", fold(name.replace("_", " ")))


def _plain(text: str) -> str:
    return " ".join(anyascii(text).casefold().split())


_FOLDS: tuple[Callable[[str], str], ...] = (str.strip, str.casefold, _plain)
"""How a reply and a name are compared: exactly, whatever the case, whatever the accents."""

_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Characters of scripts that put no space between words."""

_EDGES = re.compile(r"\A\W*(?:\d+[.)]\s+)?\W*|\W+\Z")
"""What is around a name that stands alone: quotation marks, emphasis, a list's number."""

MOST_CHARS = 4_000
"""Characters of a reply that are read."""


def silence(name: str, spoke: Sequence[str]) -> int | None:
    """Return how many turns ago a name last spoke, 0 for the last turn; None if it never did."""
    return next((ago for ago, other in enumerate(reversed(spoke)) if other == name), None)


def longest_silent(candidates: Sequence[str], spoke: Sequence[str]) -> str:
    """Return the candidate who spoke longest ago or never; the first of several who have not.

    `spoke` lists the speakers so far, in order.
    """
    last = {speaker: at for at, speaker in enumerate(spoke)}
    return min(candidates, key=lambda name: last.get(name, -1))
