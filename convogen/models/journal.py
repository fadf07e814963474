"""The answered calls of a task that is not committed yet.

One file a task, one line a call, appended the moment the answer is there. When the task is
played again after a crash, its calls are answered from here. Attempts that may have been billed
for nothing have lines of their own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convogen.files import append_line, cut_torn_line, parse_row
from convogen.models.base import Reply, TokenLogprob
from convogen.types import Usage

__all__ = ["Journal"]


class Journal:
    """Answered calls by key; what is in the file already is read on opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, dict[str, Any]] = {}
        self._lost: list[dict[str, Any]] = []
        if path.exists():
            cut_torn_line(path)
            for line in path.read_bytes().split(b"\n")[:-1]:
                row = parse_row(path, line, "key")
                if "text" in row:
                    self._rows[row["key"]] = row
                else:
                    self._lost.append(row)

    def find(self, key: str) -> Reply | None:
        """The recorded reply to a call, None where it was not answered yet."""
        row = self._rows.get(key)
        return None if row is None else _reply(row)

    def record(
        self, key: str, role: str, model: str, reply: Reply, attempts: int, seconds: float
    ) -> None:
        """Write an answer down; raises `RunFolderError` where the disk refuses."""
        usage = reply.usage.model_dump()
        row: dict[str, Any] = {
            "key": key,
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "call": {
                "role": role,
                "model": model,
                **usage,
                "attempts": attempts,
                "seconds": round(seconds, 4),
                "at": round(time.time(), 3),
            },
        }
        if reply.logprobs is not None:
            row["logprobs"] = [[t.token, t.logprob, t.top] for t in reply.logprobs]
        append_line(self.path, json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._rows[key] = row

    def lose(
        self, key: str, role: str, model: str, usage: Usage, attempts: int, seconds: float
    ) -> None:
        """Write down what may have been billed for nothing, at most `usage`: an attempt without an
        answer, or (0 `attempts`) an answer that did not say what it took."""
        row: dict[str, Any] = {
            "key": key,
            "call": {
                "role": role,
                "model": model,
                **Usage().model_dump(),
                "attempts": 0,
                "lost_attempts": attempts,
                "lost_prompt_tokens": usage.prompt_tokens,
                "lost_completion_tokens": usage.completion_tokens,
                "seconds": round(seconds, 4),
                "at": round(time.time(), 3),
            },
        }
        append_line(self.path, json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._lost.append(row)

    def calls(self) -> Iterator[dict[str, Any]]:
        """What each call took, for the ledger; then what was lost."""
        return (row["call"] for row in [*self._rows.values(), *self._lost])


def _reply(row: dict[str, Any]) -> Reply:
    call = row["call"]
    usage = Usage(**{name: call[name] for name in Usage.model_fields})
    logprobs = row.get("logprobs")
    return Reply(
        row["text"],
        usage,
        row["finish_reason"],
        logprobs
        and tuple(TokenLogprob(t, p, tuple((a, b) for a, b in top)) for t, p, top in logprobs),
        call["model"],
    )
