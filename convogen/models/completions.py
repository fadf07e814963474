"""Reads chat completions defensively: an endpoint's answer is foreign input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from convogen.errors import ModelFault
from convogen.masking import Secrets
from convogen.models.base import Reply, TokenLogprob, Transient, encodable, printable
from convogen.text import without_thinking
from convogen.types import Usage

__all__ = ["read_completion", "read_error"]


def read_completion(answer: bytes, secrets: Secrets) -> Reply:
    """The reply in a body; should it quote a secret, the reply has it masked.

    Raises `Transient` for a body that is no chat completion, `ModelFault` for a refusal.
    """
    try:
        reply = _reply(_parsed(answer))
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


def read_error(answer: bytes, secrets: Secrets) -> str:
    """What an endpoint said went wrong, as one line; never a secret, should it be quoted."""
    text = answer.decode("utf-8", "replace")
    try:
        body = json.loads(text)
        error = cast("dict[str, Any]", body).get("error", body)
        text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    except (ValueError, RecursionError, AttributeError):
        pass
    return secrets.mask_error(printable(" ".join(text.split())))[:1000]


def _masked(
    tokens: tuple[TokenLogprob, ...], mask: Callable[[str], str]
) -> tuple[TokenLogprob, ...]:
    """Tokens whose alternatives quote no secret; they themselves are known not to."""
    return tuple(replace(t, top=tuple((mask(a), p) for a, p in t.top)) for t in tokens)


def _parsed(answer: bytes) -> object:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        said = f"unreadable answer: {' '.join(str(error).split())}"[:300]
        raise Transient(said, kind="unreadable") from error


def _reply(data: object) -> Reply:
    """Read a chat completion; raise `Transient` for a body that is none."""
    try:
        body = cast("dict[str, Any]", data)
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        finish = printable(str(choice.get("finish_reason") or "stop"))
        if not isinstance(text, str):
            raise TypeError("content is no string")
        spoken, thought = without_thinking(text)
        reply = Reply(
            spoken,
            _usage(body.get("usage") or {}),
            finish,
            _logprobs(choice.get("logprobs")),
            thought=thought,
            served=printable(f"{body.get('model') or ''}")[:200],
        )
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        said = f"answer is no chat completion: {error!r}"[:300]
        raise Transient(said, kind="unreadable") from error
    if finish == "content_filter":
        raise ModelFault(
            "content_filter",
            "the endpoint's content filter cut the reply",
            printable(text),
            billed=True,
        )
    if not text and message.get("refusal"):
        evidence = printable(str(message["refusal"])[:2000])
        raise ModelFault("refusal", "the model refused", evidence, billed=True)
    return reply


def _usage(usage: dict[str, Any]) -> Usage:
    details = cast("dict[str, Any]", usage.get("prompt_tokens_details") or {})
    return Usage(
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
    )


def _logprobs(data: Any) -> tuple[TokenLogprob, ...] | None:
    if not data or not data.get("content"):
        return None
    return tuple(
        TokenLogprob(
            encodable(token["token"]),
            float(token["logprob"]),
            tuple(
                (encodable(t["token"]), float(t["logprob"]))
                for t in token.get("top_logprobs") or ()
            ),
        )
        for token in data["content"]
    )
