"""A run with fewer tasks, as it was before its last tasks were committed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["ROWS", "first_tasks"]

ROWS = ("experiences", "conversations", "failures", "rejected", "ledger", "calls")


def first_tasks(folder: Path, n: int) -> Path:
    """Keep only the rows of a run's first `n` tasks, and their scores; return the folder."""
    for name in ROWS:
        _keep(folder / f"{name}.jsonl", lambda row: row["task"] < n)
    left = {row["id"] for row in _rows(folder / "conversations.jsonl")}
    for scores in (folder / "scores").glob("*.jsonl"):
        _keep(scores, lambda row: row["conversation"] in left)
        scored = len(_rows(scores))
        for name in ("ledger", "calls"):
            path = scores.with_suffix("") / f"{name}.jsonl"
            _keep(path, lambda row, scored=scored: row["task"] < scored)
    return folder


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _keep(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if wanted(json.loads(line))))
