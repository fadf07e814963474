"""A run made shorter, as it was when fewer of its tasks were committed."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["first_tasks"]

ROWS = ("experiences", "conversations", "failures", "rejected", "ledger", "calls")


def first_tasks(folder: Path, n: int) -> Path:
    """Leave the rows of the first `n` tasks in a run's folder, which is returned."""
    for name in ROWS:
        path = folder / f"{name}.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if json.loads(line)["task"] < n))
    return folder
