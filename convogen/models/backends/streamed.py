"""A parser for completions that a gateway streams although no stream was requested."""

from __future__ import annotations

import json
from typing import Any, cast

__all__ = ["streamed_completion"]


def streamed_completion(answer: bytes) -> dict[str, Any] | None:
    """Join the server-sent events of a response into one completion.

    The deltas of the first choice are joined. If the stream ends without a finish reason, the
    completion has no choices. If the stream contains an error, the result is the chunk with the
    error. The result is None if the response is not a stream.
    """
    if not answer.lstrip().startswith((b"data:", b"event:", b"id:", b":")):
        return None
    content, finish, usage = list[str](), None, None
    for event in answer.decode("utf-8", "replace").splitlines():
        chunk = _chunk(event)
        if chunk is None:
            continue
        if chunk.get("error"):
            return chunk
        usage = chunk.get("usage") or usage
        choices: Any = chunk.get("choices")
        choice: Any = cast("list[Any]", choices)[0] if choices else None
        if not isinstance(choice, dict):
            continue
        completion = cast("dict[str, Any]", choice)
        if completion.get("error"):
            return chunk
        content.append(_text(completion.get("delta") or completion.get("message")))
        finish = completion.get("finish_reason") or finish
    message = {"role": "assistant", "content": "".join(content)}
    whole = [{"index": 0, "message": message, "finish_reason": finish}] if finish else []
    return {"object": "chat.completion", "choices": whole, "usage": usage}


def _chunk(event: str) -> dict[str, Any] | None:
    if not event.startswith("data:"):
        return None
    try:
        chunk: Any = json.loads(event.removeprefix("data:"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", chunk) if isinstance(chunk, dict) else None


def _text(delta: Any) -> str:
    said: Any = cast("dict[str, Any]", delta).get("content") if isinstance(delta, dict) else None
    return said if isinstance(said, str) else ""
