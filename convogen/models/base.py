"""The one seam to language models: `ChatModel.complete(request) -> ModelReply`.

Retries, limits, the journal and the ledger wrap it once, in `traffic/`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from pydantic import Field

from convogen.inputs.keys import Keys
from convogen.records import Usage

__all__ = [
    "ChatModel",
    "Message",
    "ModelReply",
    "Request",
    "Sampling",
    "TokenLogprob",
    "Transient",
    "encodable",
    "merged",
    "printable",
    "without_system",
]

FaultKind = Literal["throttled", "server", "connection", "unconnected", "time-out", "unreadable"]

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Sampling(Keys):
    """How a role's replies are drawn. None leaves a parameter out of the request."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[str] | None = None
    seed: int | None = None
    extra: dict[str, Any] | None = Field(
        default=None, description="further keys of the request body"
    )

    def with_defaults(self, base: Sampling) -> Sampling:
        """These settings, with `base` for what was not set here (an explicit null counts)."""
        return base.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat request."""

    role: Literal["system", "user", "assistant"]
    content: str


def merged(messages: Iterable[Message]) -> list[Message]:
    """Return messages whose roles alternate: neighbours of one role are one, empty ones go."""
    result: list[Message] = []
    for message in messages:
        if not message.content.strip():
            continue
        if result and result[-1].role == message.role:
            message = Message(message.role, f"{result.pop().content}\n\n{message.content}")
        result.append(message)
    return result


def without_system(messages: Sequence[Message]) -> list[Message]:
    """Return messages for a model without a system role: it goes before the first user message."""
    system = [one for one in messages if one.role == "system"]
    rest = [one for one in messages if one.role != "system"]
    if not system or not rest:
        return list(messages)
    return merged([*(Message("user", one.content) for one in system), *rest])


@dataclass(frozen=True)
class Request:
    """One call as the caller means it, before any endpoint's dialect.

    `schema` asks for a JSON object of that JSON Schema, `top_logprobs` for the log-probabilities
    of that many alternatives per token. `choices` are the replies the prompt asks to choose from.
    `dialogue` names the task that asks, for a chatbot that keeps a memory by session.
    With `continuations` it asks how likely each of them is after the one message, and for no reply
    to it (`backends/likelihood.py`).
    """

    role: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    _: KW_ONLY
    schema: dict[str, Any] | None = None
    top_logprobs: int | None = None
    choices: tuple[str, ...] = ()
    dialogue: str = ""
    continuations: tuple[str, ...] = ()

    @cached_property
    def hash(self) -> str:
        """Identifies the request by everything that decides the reply; 24 hexadecimal digits."""
        key = [
            self.model,
            [[m.role, m.content] for m in self.messages],
            self.sampling.model_dump(exclude_none=True),
            self.schema,
            self.top_logprobs,
            *([self.continuations] if self.continuations else []),
        ]
        text = json.dumps(key, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of a reply: its log-probability, and those of its alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A model's answer to a request; `model` is the name of the one that gave it, once known.

    `finish_reason` is `stop`, `length`, or what the endpoint said if that is neither. `thought`
    says whether the endpoint's answer had thinking in it, which `text` leaves out. `served` is what
    the endpoint itself calls the model that answered, `left_out` what it was not asked with since
    it takes no such thing (`temperature=0.0`).
    """

    text: str
    usage: Usage
    finish_reason: str
    _: KW_ONLY
    logprobs: tuple[TokenLogprob, ...] | None = None
    model: str = ""
    thought: bool = False
    served: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def cut_off(self) -> bool:
        """Whether it may lack its end: only what is known to be finished does not."""
        return self.finish_reason != "stop"


class ChatModel(Protocol):
    """Anything that answers a chat request.

    `complete` raises `Transient` if asking again may help, `EndpointDown` if it will not until the
    user acts, and `ModelFault` if this one request cannot be answered.
    """

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request, once: no retries here."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class Transient(Exception):
    """A fault worth retrying; `retry_after_s` is set if the endpoint said how long to wait.

    `kind` says what came back: `throttled` and `server`, an error; `connection`, nothing;
    `time-out`, nothing in time; `unreadable`, something that is no answer. With `unconnected`
    nothing was sent. `billed` says whether the call may have been paid for: not if it was
    refused or never sent.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, kind: FaultKind = "server"
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind: FaultKind = kind
        self.billed = kind in ("connection", "time-out", "unreadable")


def printable(text: str) -> str:
    """Return a foreign text without control characters or halves of surrogate pairs."""
    return encodable(UNPRINTABLE.sub("", text.replace("\r\n", "\n")))


def encodable(text: str) -> str:
    """Return a foreign text with halves of surrogate pairs replaced, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
