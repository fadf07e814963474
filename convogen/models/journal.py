"""The answered calls of a task.

Until the task is committed they are in a file of its own, one line a call, appended the moment the
answer is there. When the task is played again after a crash, its calls are answered from it.
Attempts that may have been billed for nothing have lines of their own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convogen.errors import ModelFault, RunFolderError
from convogen.files import append_line, cut_torn_line, parse_row
from convogen.models.base import Reply, TokenLogprob
from convogen.types import Usage

__all__ = ["Journal", "check_answer", "reply_of"]


class Journal:
    """Answered calls by key; what is in the file already is read on opening.

    A key is the request's hash and how often this very request was made before, from 1.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []
        self._rows: dict[str, dict[str, Any]] = {}
        self._lost: list[dict[str, Any]] = []
        if path.exists():
            cut_torn_line(path)
            for line in path.read_bytes().split(b"\n")[:-1]:
                row = parse_row(path, line, "key")
                if "text" in row or "fault" in row:
                    self._rows[row["key"]] = row
                else:
                    self._lost.append(row)

    def find(self, key: str) -> Reply | None:
        """The recorded reply to a call that is made now, None where it was not answered yet.

        Raises the recorded `ModelFault` where a fault was the answer.
        """
        self.asked.append(key)
        known = self.answer(key)
        return None if known is None else reply_of(known)

    def record(
        self,
        key: str,
        role: str,
        model: str,
        answer: Reply | ModelFault,
        attempts: int,
        seconds: float,
    ) -> None:
        """Write an answer down; raises `RunFolderError` where the disk refuses."""
        usage = answer.usage if isinstance(answer, Reply) else Usage()
        row: dict[str, Any] = {
            "key": key,
            **_said(answer),
            "call": {
                "role": role,
                "model": model,
                **usage.model_dump(),
                "attempts": attempts,
                "seconds": round(seconds, 4),
                "at": round(time.time(), 3),
                **_by(answer),
            },
        }
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

    def answers(self) -> Iterator[dict[str, Any]]:
        """The task's answers in the order they were asked for: what `reply_of` reads."""
        found = (self.answer(key) for key in self.asked)
        return (answer for answer in found if answer is not None)

    def answer(self, key: str) -> dict[str, Any] | None:
        """What was answered to a call, None where nothing was yet."""
        return _answer(self._rows[key]) if key in self._rows else None


def _by(answer: Reply | ModelFault) -> dict[str, Any]:
    """What the endpoint calls the model that answered, and what it was asked without."""
    if isinstance(answer, ModelFault):
        return {}
    told = {"served": answer.served, "left_out": list(answer.left_out)}
    return {key: value for key, value in told.items() if value}


def _said(answer: Reply | ModelFault) -> dict[str, Any]:
    if isinstance(answer, ModelFault):
        fault = {"kind": answer.kind, "message": str(answer), "evidence": answer.evidence}
        return {"fault": fault}
    said: dict[str, Any] = {"text": answer.text, "finish_reason": answer.finish_reason}
    if answer.thought:
        said["thought"] = True
    if answer.logprobs is not None:
        said["logprobs"] = [[t.token, t.logprob, t.top] for t in answer.logprobs]
    return said


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    """A journal's row without what differs from start to start."""
    call = row["call"]
    said = {name: value for name, value in row.items() if name not in ("key", "call")}
    usage = {name: call[name] for name in Usage.model_fields}
    by = {"key": row["key"], "role": call["role"], "model": call["model"]}
    return {**by, **said, "usage": usage}


def check_answer(path: Path, answer: dict[str, Any]) -> None:
    """Raise `RunFolderError` naming the file where a row is no recorded answer."""
    try:
        if isinstance(answer["key"], str) and isinstance(answer["role"], str):
            reply_of(answer)
            return
    except ModelFault:
        return
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    raise RunFolderError(f"{path}: damaged: {str(answer)[:60]!r} is no recorded answer")


def reply_of(answer: dict[str, Any]) -> Reply:
    """A recorded answer as the reply it was; raises the `ModelFault` that it was."""
    if (fault := answer.get("fault")) is not None:
        raise ModelFault(fault["kind"], fault["message"], fault["evidence"])
    logprobs = answer.get("logprobs")
    return Reply(
        answer["text"],
        Usage(**answer["usage"]),
        answer["finish_reason"],
        logprobs
        and tuple(TokenLogprob(t, p, tuple((a, b) for a, b in top)) for t, p, top in logprobs),
        answer["model"],
        answer.get("thought", False),
    )
