"""A defensive parser for chat completions, because an endpoint's response is untrusted input.

`reported.py` parses errors that an endpoint reports instead of a completion, with any HTTP status.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from convogen.errors import ModelFault
from convogen.models.backends.streamed import streamed_completion
from convogen.models.base import ModelReply, TokenLogprob, Transient, encodable, printable
from convogen.models.http import shape
from convogen.records import Usage
from convogen.redaction import Secrets
from convogen.text.reasoning import without_thinking

__all__ = ["finish_of", "parsed", "read_completion"]

MOST_TOKENS = 10**9
"""Maximum token count; higher counts are ignored."""

_FINISHED = frozenset(
    "complete completed done end end_turn eos eos_token finished normal stop stop_sequence "
    "stop_token".split()
)
_FOR_LENGTH = frozenset(
    "context_length length limit max_length max_new_tokens max_output_tokens max_tokens "
    "model_context_window_exceeded model_length token_limit truncated".split()
)
_FILTERED = re.compile(
    r"content_filter|safety\b|image_safety|recitation|prohibited|blocklist|spii|sensitive"
    r"|guardrail|moderation",
)
_BROKEN_OFF = frozenset(
    "abort aborted cancelled canceled error insufficient_system_resource load model_error "
    "network_error unload".split()
)
"""Finish reasons of replies that the endpoint aborted. A retry may help."""


def parsed(answer: bytes, secrets: Secrets) -> object:
    """Return the parsed JSON of a response. The chunks of a stream are joined into one completion.

    Args:
        answer: Body of the response.
        secrets: Secrets to mask in the error message.

    Raises:
        Transient: If the body is neither JSON nor a stream.
    """
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        if (whole := streamed_completion(answer)) is not None:
            return whole
        start = printable(" ".join(answer[:400].decode("utf-8", "replace").split()))
        found = f"it begins with {start[:120]!r}" if start else "it is empty"
        said = secrets.mask_error(f"the response is not JSON: {found}")
        raise Transient(said, kind="unreadable") from error


def read_completion(body: object, secrets: Secrets, max_tokens: int | None = None) -> ModelReply:
    """Return the reply in the body of a chat completion, with any secrets masked.

    Args:
        body: Parsed JSON of the response.
        secrets: Secrets to mask.
        max_tokens: Token limit for the reply. A reply that reaches the limit and has no finish
            reason counts as truncated.

    Raises:
        Transient: If the body is not a chat completion, or if the endpoint aborted the reply.
        ModelFault: If the reply was filtered, or if the model refused to reply.
    """
    try:
        reply = _reply(body, max_tokens)
    except Transient as fault:
        raise Transient(secrets.mask_error(str(fault)), kind=fault.kind) from None
    except ModelFault as fault:
        evidence = secrets.mask_error(fault.evidence)
        raise ModelFault(fault.kind, str(fault), evidence, billed=fault.billed) from None
    mask, logprobs = secrets.mask, reply.logprobs
    if logprobs:
        spelt = "".join(token.token for token in logprobs)
        logprobs = _masked(logprobs, mask) if mask(spelt) == spelt else None
    text, finish = mask(printable(reply.text)), mask(reply.finish_reason)
    served = mask(reply.served)
    return replace(reply, text=text, finish_reason=finish, logprobs=logprobs, served=served)


def finish_of(value: object) -> str:
    """Translate any server's finish reason into the OpenAI API's terms.

    Synonyms become `stop`, `length` or `content_filter`, regardless of case. An unknown reason is
    returned unchanged. The result is empty if the reason is missing.
    """
    if value is None or value == "":
        return ""
    given = printable(str(value)).strip()[:80]
    word = re.sub(r"[\s-]+", "_", given).casefold().removeprefix("finish_reason_")
    if word in _FINISHED:
        return "stop"
    if word in _FOR_LENGTH:
        return "length"
    return "content_filter" if _FILTERED.match(word) else given


def _masked(
    tokens: tuple[TokenLogprob, ...], mask: Callable[[str], str]
) -> tuple[TokenLogprob, ...]:
    """Mask secrets in the alternatives to tokens; the tokens themselves contain no secrets."""
    return tuple(replace(t, top=tuple((mask(a), p) for a, p in t.top)) for t in tokens)


def _reply(body: object, max_tokens: int | None) -> ModelReply:
    choice = _first_choice(body)
    content = _content_of(choice)
    usage = _usage(cast("dict[str, Any]", body).get("usage"))
    finish = finish_of(choice.get("finish_reason"))
    if not finish:
        full = max_tokens is not None and usage.completion_tokens >= max_tokens
        finish = "length" if full else "stop"
    if finish == "content_filter":
        message = "the endpoint's content filter stopped the reply"
        raise ModelFault("content_filter", message, printable(content.text), billed=True)
    if finish.casefold() in _BROKEN_OFF:
        kind = "unreadable" if usage.completion_tokens else "server"
        raise Transient(f"the endpoint aborted the reply (finish reason {finish})", kind=kind)
    if not content.text and content.refusal:
        evidence = printable(content.refusal[:2000])
        raise ModelFault("refusal", "the model refused to reply", evidence, billed=True)
    if not content.complete and finish == "stop":
        raise _no_completion("a message in the choice", choice)
    spoken, thought = without_thinking(content.text)
    logprobs = _logprobs(choice.get("logprobs"))
    served = printable(f"{cast('dict[str, Any]', body).get('model') or ''}")[:200]
    return ModelReply(
        spoken, usage, finish, logprobs=logprobs, thought=thought or content.thought, served=served
    )


def _first_choice(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise _no_completion("an object", body)
    whole = cast("dict[str, Any]", body)
    choices: Any = whole.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _no_completion("a list of choices", whole)
    choice = cast("list[Any]", choices)[0]
    if not isinstance(choice, dict):
        raise _no_completion("an object as the choice", choice)
    return cast("dict[str, Any]", choice)


def _no_completion(lack: str, instead: object) -> Transient:
    message = printable(
        f"the response is not a chat completion: expected {lack}, found {shape(instead)}"
    )
    return Transient(message[:300], kind="unreadable")


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of a choice; `complete` is false only if the choice has no message at all."""

    text: str = ""
    refusal: str = ""
    thought: bool = False
    complete: bool = True


def _content_of(choice: Mapping[str, Any]) -> _Content:
    """Return the content of a choice; raise `Transient` if it is not text.

    Instead of a message, a choice may contain `text`, as in `/completions`, or a stream's `delta`.
    """
    message: Any = choice.get("message") or choice.get("delta")
    if message is None or message == {}:
        text: Any = choice.get("text")
        return _Content(text) if isinstance(text, str) else _Content(complete=message is not None)
    if not isinstance(message, dict):
        raise _no_completion("an object as the message", message)
    fields = cast("dict[str, Any]", message)
    content: Any = fields.get("content")
    parts = cast("list[Any]", content) if isinstance(content, list) else [content]
    texts = [_part(part) for part in parts]
    refusals = [fields.get("refusal"), *(_field(part, "refusal") for part in parts)]
    thoughts = [fields.get(key) for key in ("reasoning_content", "reasoning", "thinking")]
    return _Content(
        "".join(text for text in texts if text is not None),
        next((f"{refusal}" for refusal in refusals if refusal), ""),
        any(thoughts) or None in texts,
    )


def _field(part: Any, key: str) -> Any:
    return cast("dict[str, Any]", part).get(key) if isinstance(part, dict) else None


def _part(part: Any) -> str | None:
    """Return the text in a part of a message; None for thinking, and "" for a part without text.

    Content that is null or a single string counts as one part.
    """
    if part is None or isinstance(part, str):
        return part or ""
    if not isinstance(part, dict):
        raise _no_completion("text as the content", part)
    kind = f"{_field(part, 'type') or 'text'}".casefold()
    if "think" in kind or "reason" in kind:
        return None
    text = _field(part, "text")
    if isinstance(text, dict):  # as in the Assistants API
        text = _field(text, "value")
    return text if isinstance(text, str) and kind in ("text", "output_text") else ""


def _usage(value: Any) -> Usage:
    """Return the token usage of a response; invalid counts become 0 and raise no error."""
    usage = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    details: Any = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = _field(details, "cached_tokens") or usage.get("prompt_cache_hit_tokens")
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens") or usage.get("input_tokens")),
        completion_tokens=_count(usage.get("completion_tokens") or usage.get("output_tokens")),
        cached_tokens=_count(cached),
    )


def _count(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,12}(?:\.\d{1,6})?\s*", value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return 0
    return int(value) if 0 < value <= MOST_TOKENS else 0


def _logprobs(data: Any) -> tuple[TokenLogprob, ...] | None:
    """Return the log-probabilities in a choice; None if they are missing or invalid."""
    try:
        return tuple(_token(token) for token in data["content"]) or None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _token(token: Mapping[str, Any]) -> TokenLogprob:
    alternatives = token.get("top_logprobs") or ()
    top = tuple((encodable(t["token"]), float(t["logprob"])) for t in alternatives)
    return TokenLogprob(encodable(token["token"]), float(token["logprob"]), top)
