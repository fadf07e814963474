"""The journal of a task's answered model calls.

Each task has its own file until the task is committed. One line is appended per call as soon as the
reply arrives. If a task is repeated after a crash, its calls are answered from the journal.
Attempts that may have been billed although no reply arrived have their own lines.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from convogen.errors import ModelFault, RunFolderError
from convogen.inputs.keys import first_fault
from convogen.jsonl import append_line, mend_last_line, parse_row
from convogen.models.base import ModelReply, TokenLogprob
from convogen.records import Usage

__all__ = ["Journal", "check_answer", "check_call", "journal_lines", "reply_of"]

Count = Annotated[int, Field(ge=0)]


class _Call(BaseModel):
    """The usage of a model call. The `lost_…` fields describe attempts that may have been billed
    although no reply arrived."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: str
    model: str
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cached_tokens: Count = 0
    attempts: Count = 0
    lost_attempts: Count = 0
    lost_prompt_tokens: Count = 0
    lost_completion_tokens: Count = 0
    seconds: float = 0.0


class Journal:
    """The answered calls of a task, each with its key. An existing file is read when the journal is
    opened.

    A key consists of the request's hash and a running number, starting at 1, among requests with
    the same hash.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []
        self._rows: dict[str, dict[str, Any]] = {}
        self._lost: list[dict[str, Any]] = []
        if path.exists():
            mend_last_line(path)
            for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
                where = f"{path} line {number}"
                row = parse_row(where, line, "key")
                check_call(where, row.get("call"))
                if "text" in row or "fault" in row:
                    check_answer(where, _answer(row))
                self._take(row)

    def find(self, key: str) -> ModelReply | None:
        """Return the recorded reply to the current call; None if the call has not been answered.

        Raises:
            ModelFault: If the recorded answer is a fault.
        """
        self.asked.append(key)
        known = self.answer(key)
        return None if known is None else reply_of(known)

    def record(
        self,
        key: str,
        role: str,
        model: str,
        answer: ModelReply | ModelFault,
        *,
        attempts: int,
        seconds: float,
    ) -> None:
        """Append a reply or a fault; raise `RunFolderError` if the line cannot be written."""
        usage = answer.usage if isinstance(answer, ModelReply) else Usage()
        row: dict[str, Any] = {
            "key": key,
            **_answer_fields(answer),
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
        self.append(row)

    def record_lost_attempt(
        self, usage: Usage, attempts: int, seconds: float, *, key: str, role: str, model: str
    ) -> None:
        """Append an attempt that may have been billed although no reply reports its usage.

        Args:
            usage: Upper bound on the billed usage.
            attempts: 1 for a lost attempt; 0 for a probe or a reply that reported no usage.
            seconds: Duration of the attempt in seconds.
            key: Key of the call.
            role: Role that was called.
            model: Name of the role's model.
        """
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
        self.append(row)

    def append(self, row: dict[str, Any]) -> None:
        """Append a row from any journal of the same task; raise `RunFolderError` if the row cannot
        be written."""
        self._write(row)
        self._take(row)

    def _write(self, row: dict[str, Any]) -> None:
        append_line(self.path, json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def _take(self, row: dict[str, Any]) -> None:
        if "text" in row or "fault" in row:
            self._rows[row["key"]] = row
        else:
            self._lost.append(row)

    def answered(self) -> list[dict[str, Any]]:
        """Return the rows of all recorded answers, unchanged."""
        return list(self._rows.values())

    def calls(self) -> Iterator[dict[str, Any]]:
        """Yield the ledger rows of answered calls, followed by the rows of lost attempts.

        A call that was made by an earlier invocation and not repeated is marked as `unused`.
        """
        asked = set(self.asked)
        for key, row in self._rows.items():
            yield row["call"] if key in asked else {**row["call"], "unused": True}
        yield from (row["call"] for row in self._lost)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Return the task's answers in call order, as rows for `reply_of`."""
        found = (self.answer(key) for key in self.asked)
        return (answer for answer in found if answer is not None)

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return the recorded answer to a call; None if the call has not been answered yet."""
        return _answer(self._rows[key]) if key in self._rows else None


def _by(answer: ModelReply | ModelFault) -> dict[str, Any]:
    """Return the endpoint's name for the model and the omitted settings, each only if present."""
    if isinstance(answer, ModelFault):
        return {}
    fields = {"served": answer.served, "left_out": list(answer.left_out)}
    return {key: value for key, value in fields.items() if value}


def _answer_fields(answer: ModelReply | ModelFault) -> dict[str, Any]:
    if isinstance(answer, ModelFault):
        fault = {"kind": answer.kind, "message": str(answer), "evidence": answer.evidence}
        return {"fault": fault}
    fields: dict[str, Any] = {"text": answer.text, "finish_reason": answer.finish_reason}
    if answer.thought:
        fields["thought"] = True
    if answer.logprobs is not None:
        fields["logprobs"] = [[t.token, t.logprob, t.top] for t in answer.logprobs]
    return fields


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    """Return a journal row without the fields that differ between invocations."""
    call = row["call"]
    fields = {name: value for name, value in row.items() if name not in ("key", "call")}
    usage = {name: call.get(name, 0) for name in Usage.model_fields}
    by = {"key": row["key"], "role": call["role"], "model": call["model"]}
    return {**by, **fields, "usage": usage}


def journal_lines(
    path: Path, paid: Iterable[Mapping[str, Any]], answers: Iterable[dict[str, Any]]
) -> str:
    """Return the text of a task's journal, rebuilt from its ledger rows and recorded answers.

    A paid call without a recorded answer counts as a lost attempt.
    """
    ledger = defaultdict[tuple[Any, ...], list[dict[str, Any]]](list)
    lost: list[dict[str, Any]] = []
    for row in paid:
        call = {name: value for name, value in row.items() if name not in ("task", "unused")}
        check_call(path, call)
        (lost if "lost_attempts" in call else ledger[_kind(call, call)]).append(call)
    rows: list[dict[str, Any]] = []
    for answer in answers:
        check_answer(path, answer)
        fields = {k: v for k, v in answer.items() if k not in ("task", "role", "model", "usage")}
        by = {"role": answer["role"], "model": answer["model"], **answer["usage"]}
        candidates = ledger[_kind(by, answer["usage"])]
        call = candidates.pop(0) if candidates else {**by, "attempts": 1, "seconds": 0.0}
        rows.append({**fields, "call": call})
    unanswered = [_as_lost(call) for calls in ledger.values() for call in calls]
    rows += [{"key": "", "call": call} for call in [*unanswered, *lost]]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _kind(call: Mapping[str, Any], usage: Mapping[str, Any]) -> tuple[Any, ...]:
    return call["role"], call["model"], *(usage.get(name, 0) for name in Usage.model_fields)


def _as_lost(call: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a call without a recorded answer into a lost attempt."""
    return {
        **call,
        **Usage().model_dump(),
        "attempts": 0,
        "lost_attempts": call.get("attempts", 1),
        "lost_prompt_tokens": call.get("prompt_tokens", 0),
        "lost_completion_tokens": call.get("completion_tokens", 0),
    }


def check_call(where: object, call: Any) -> None:
    """Raise `RunFolderError` if a row does not contain a call's usage, or if the usage is
    invalid."""
    try:
        _Call.model_validate(call)
    except ValidationError as error:
        raise RunFolderError(f"{where}: damaged: {first_fault(error)}; restore the line") from error


def check_answer(path: object, answer: dict[str, Any]) -> None:
    """Raise `RunFolderError`, which names the file, if a row is not a recorded answer."""
    try:
        reply = reply_of(answer)
        told = (answer["key"], answer["role"], reply.text, reply.finish_reason, reply.model)
        if all(isinstance(one, str) for one in told):
            return
    except ModelFault:
        return
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    raise RunFolderError(
        f"{path}: damaged: {str(answer)[:60]!r} is not a valid record of an answer; restore the "
        "line"
    )


def reply_of(answer: dict[str, Any]) -> ModelReply:
    """Return the reply in a recorded answer; raise `ModelFault` if the answer records a fault."""
    if (fault := answer.get("fault")) is not None:
        raise ModelFault(fault["kind"], fault["message"], fault["evidence"])
    logprobs = answer.get("logprobs")
    return ModelReply(
        answer["text"],
        Usage(**answer["usage"]),
        answer["finish_reason"],
        logprobs=logprobs
        and tuple(TokenLogprob(t, p, tuple((a, b) for a, b in top)) for t, p, top in logprobs),
        model=answer["model"],
        thought=answer.get("thought", False),
    )
