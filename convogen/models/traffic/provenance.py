"""The provenance of replies: the endpoints' names for models, and the settings that the endpoints
did not accept.

The ledger contains both for every call. The user is shown each name and each setting only once.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from convogen.inputs.text_file import open_file
from convogen.models.base import ModelReply

__all__ = ["Provenance", "last_calls", "moved"]

LOG = logging.getLogger("convogen.traffic")

TAIL_BYTES = 1 << 17
"""Number of bytes at the end of a ledger that are read to find the models that replied last."""


class Provenance:
    """The models that have replied. `tell` is called with each line for the user."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._served: dict[str, list[str]] = defaultdict(list)
        self._left_out: set[tuple[str, str, str]] = set()

    def earlier(self, calls: Iterator[Mapping[str, Any]]) -> None:
        """Restore the models that replied in earlier invocations from rows of the ledger."""
        for call in calls:
            model, served = call.get("model"), call.get("served")
            if isinstance(model, str) and isinstance(served, str):
                self._know(model, served)

    def heard(self, role: str, model: str, reply: ModelReply) -> None:
        """Register an endpoint's reply to a request for `model`."""
        if reply.served and reply.served not in self._served[model]:
            if known := self._served[model]:
                before = ", ".join(known)
                self._say(f"model {model}: previously served as {before}, now as {reply.served}")
            self._know(model, reply.served)
        for what in reply.left_out:
            if (role, model, what) not in self._left_out:
                self._left_out.add((role, model, what))
                self._say(
                    f"model {model} does not accept {what} for the {role}; "
                    "requests omit this setting"
                )

    def _know(self, model: str, served: str) -> None:
        if served not in self._served[model]:
            self._served[model].append(served)

    def _say(self, line: str) -> None:
        LOG.info(line)
        self._tell(line)


def last_calls(ledger: Path) -> Iterator[dict[str, Any]]:
    """Yield the last readable rows of a ledger, or nothing if the ledger does not exist."""
    if not ledger.exists():
        return
    with open_file(ledger) as file:
        start = max(0, ledger.stat().st_size - TAIL_BYTES)
        file.seek(start)
        lines = file.read().split(b"\n")
    for line in lines[1 if start else 0 :]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def moved(before: Any, now: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line about models whose addresses have changed; empty if no address has changed.

    Both arguments map roles to models, as in a manifest.
    """
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for role, model in now.items():
        known = _keys(_keys(before).get(role))
        there, here = (f"{one.get('base_url') or ''}".rstrip("/") for one in (known, model))
        if there and here and there != here and known.get("name") == model.get("name"):
            places[there, here].append(role)
    told = [
        f"{', '.join(roles)}: {there} before, {here} now" for (there, here), roles in places.items()
    ]
    return f"the run continues at another endpoint: {'; '.join(told)}" if told else ""


def _keys(value: Any) -> dict[str, Any]:
    """Return `value` if it is a mapping, otherwise {}. A manifest may contain anything, because it
    may have been edited."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
