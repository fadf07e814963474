"""The progress of a run, as read from its files during or after the run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convogen.errors import ConvogenError
from convogen.plugins import registry
from convogen.storage.task_log import journals
from convogen.web.viewer.formats import duration_text, usd_text
from convogen.web.viewer.index import reading
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.query import Query, count
from convogen.web.viewer.scanner import SLOT_S, Progress

__all__ = ["RunState", "state_of"]

WINDOW_S = 600
"""Length in seconds of the period, up to the last model call, over which the rate is measured."""

QUIET_S = 180
"""Seconds without a new row after which a run counts as stopped."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The current state of a run.

    Attributes:
        state: `complete`, `running`, `stopped` if nothing was written for a while, or `deleted`.
        wanted: Number of requested conversations; None if unknown.
        done: Number of conversations that count towards `wanted`.
        counts: Number of rows for each status.
        waiting: Number of finished tasks that wait for an earlier, unfinished task.
        in_flight: Number of tasks in progress.
        rate: Recent tasks per minute; None if unknown.
        left_s: Estimated seconds left at `rate`; None if unknown.
        usd: Cost of the run's committed model calls, except the judges' calls; None if a price is
            unknown.
        tokens: Total number of tokens in the model calls that `usd` covers.
        quiet_s: Seconds since anything was written; None if the run folder was deleted.
        read: How much of the run's files the viewer has read.
    """

    state: str
    wanted: int | None
    done: int
    counts: dict[str, int]
    waiting: int
    in_flight: int
    rate: float | None
    left_s: float | None
    usd: float | None
    tokens: int
    quiet_s: float | None
    read: Progress

    @property
    def percent(self) -> int | None:
        """Percentage of the run that is done; None if its size is unknown."""
        return min(100, 100 * self.done // self.wanted) if self.wanted else None

    @property
    def rows(self) -> int:
        """The total number of rows, whatever their status."""
        return sum(self.counts.values())

    @property
    def texts(self) -> dict[str, str]:
        """A mapping from the names of page elements to the figures that they show."""
        return {
            "state": self.state,
            "done": f"{self.done:,}" + (f" of {self.wanted:,}" if self.wanted else ""),
            "failures": f"{self.counts['failed']:,}",
            "rejected": f"{self.counts['rejected']:,}",
            "cost": usd_text(self.usd),
            "tokens": f"{self.tokens:,}",
            "rate": "–" if self.rate is None else f"{self.rate:.3g} per minute",
            "left": "–" if self.left_s is None else duration_text(self.left_s),
            "flight": f"{self.in_flight} in progress, {self.waiting} waiting",
            "quiet": "–" if self.quiet_s is None else f"{duration_text(self.quiet_s)} ago",
            "read": f"{self.read.percent}%",
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the data that a page's script polls for."""
        return {
            "state": self.state,
            "rows": self.rows,
            "percent": self.percent,
            "read": self.read.percent,
            "texts": self.texts,
        }


def state_of(opened: Opened, now: float | None = None) -> RunState:
    """Return the progress of a run at the time `now`, in seconds since 1970 (default: now)."""
    now = time.time() if now is None else now
    manifest, folder = opened.manifest, opened.run.folder
    with reading([opened.index]) as connection:
        counts = count(connection, [0], Query())
        spent: Any = connection.execute(
            "select sum(usd), count(*) = count(usd), "
            "sum(prompt_tokens + completion_tokens) from r0.spent where role <> 'judge'"
        ).fetchone()
        recent = "slot > (select max(slot) from r0.pace) - ?"
        pace = connection.execute(
            f"select slot, tasks from r0.pace where {recent}", (WINDOW_S // SLOT_S,)
        )
        rate = _rate(pace.fetchall())
    wanted = manifest.get("n") if isinstance(manifest.get("n"), int) else None
    accepted = counts["accepted"] + counts["broken"]
    tasks = sum(counts.values())
    done = tasks if wanted is not None and _counts_failed(manifest) else accepted
    written = _last_written(folder)
    quiet = None if written is None else max(0.0, now - written)
    complete = bool(manifest.get("complete"))
    if quiet is None:
        state = "deleted"
    elif complete:
        state = "complete"
    else:
        state = "running" if quiet < QUIET_S else "stopped"
    waiting = sum(1 for _ in (folder / "journal").glob("*.done"))
    left = None
    if state == "running" and rate and wanted and done:
        left = max(0, wanted - done) * tasks / done / rate * 60
    return RunState(
        state=state,
        wanted=wanted,
        done=done,
        counts=counts,
        waiting=waiting,
        in_flight=0 if complete else max(0, len(journals(folder / "journal")) - waiting),
        rate=rate,
        left_s=left,
        usd=spent[0] if spent[1] else None,
        tokens=spent[2] or 0,
        quiet_s=quiet,
        read=opened.scanner.progress(),
    )


def _rate(pace: list[Any]) -> float | None:
    """Return tasks per minute, given the number of tasks per slot; None if there are no slots."""
    if not pace:
        return None
    slots = [row["slot"] for row in pace]
    seconds = (max(slots) - min(slots) + 1) * SLOT_S
    return 60 * sum(row["tasks"] for row in pace) / seconds


def _counts_failed(manifest: Mapping[str, Any]) -> bool:
    """Return whether failed and rejected tasks count towards the requested number.

    This depends on the method, which is looked up by its name in the manifest. experiment.yaml is
    not opened, since it may come from somebody else and name a module to import.
    """
    experiment: Any = manifest.get("experiment")
    name = experiment.get("method") if isinstance(experiment, dict) else None  # pyright: ignore
    try:
        return isinstance(name, str) and registry.load("methods", name).counts_failed_tasks is True
    except ConvogenError:
        return False


def _last_written(folder: Path) -> float | None:
    """Return the time of the last write to a run folder, or None if the folder was deleted."""
    names = ("manifest.json", "ledger.jsonl", "conversations.jsonl", "log.jsonl", "journal")
    times: list[float] = []
    for path in (*(folder / name for name in names), *journals(folder / "journal")):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=None)
