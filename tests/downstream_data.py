"""Dialogues with summaries and topics in the columns of DialogSum, just enough for a little
training."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["write"]

TALKS = {
    "shopping": ("the blue coat", "It costs forty", "buys the blue coat for forty"),
    "travel": ("the night train", "It leaves at nine", "takes the night train at nine"),
}


def write(path: Path, n: int, first: int = 0) -> Path:
    """Write `n` different dialogues with alternating topics."""
    rows: list[str] = []
    for number in range(first, first + n):
        topic = list(TALKS)[number % 2]
        what, answer, done = TALKS[topic]
        dialogue = (
            f"#Person1#: Good morning, number {number} here. Tell me about {what}.\n"
            f"#Person2#: {answer}, as always.\n#Person1#: Then I will have it."
        )
        row = {
            "fname": f"x_{number}",
            "dialogue": dialogue,
            "summary": f"#Person1# {done} as number {number}.",
            "topic": topic,
        }
        rows.append(json.dumps(row) + "\n")
    path.write_text("".join(rows), "utf-8")
    return path
