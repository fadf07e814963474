"""The single interface to language models: `ChatModel.complete(request) -> ModelReply`.

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

from convogen.errors import EndpointDown
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
    "Unreached",
    "encodable",
    "merged",
    "printable",
    "without_system",
]

FaultKind = Literal["throttled", "server", "connection", "unconnected", "time-out", "unreadable"]

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Sampling(Keys):
    """Sampling parameters of a role. None leaves a parameter out of the request."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[str] | None = None
    seed: int | None = None
    extra: dict[str, Any] | None = Field(
        default=None, description="additional keys of the request body"
    )

    def with_defaults(self, base: Sampling) -> Sampling:
        """Return these settings, with `base` for those not set here (an explicit null counts as
        set)."""
        return base.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat request."""

    role: Literal["system", "user", "assistant"]
    content: str


def merged(messages: Iterable[Message]) -> list[Message]:
    """Return messages with alternating roles: neighbours of one role are merged, empty ones
    dropped."""
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
    system = [message for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system or not rest:
        return list(messages)
    return merged([*(Message("user", message.content) for message in system), *rest])


@dataclass(frozen=True)
class Request:
    """One model call, independent of any endpoint's dialect.

    `schema` asks for a JSON object of that JSON Schema, `top_logprobs` for the log-probabilities of
    that many alternatives per token. `choices` are the replies the prompt asks to choose from.
    `dialogue` identifies the task, for a chatbot that keeps a memory per session. With
    `continuations` it asks for the likelihood of each after the single message instead of a reply
    (`backends/likelihood.py`).
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
        """24 hexadecimal digits that identify the request by everything that determines the
        reply."""
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
    """A model's answer to a request; `model` is the name of the model that gave it, once known.

    `finish_reason` is `stop`, `length`, or what the endpoint said if that is neither. `thought`
    says whether the answer contained thinking, which `text` leaves out. `served` is the endpoint's
    own name of the model, `left_out` the settings that were not sent because the endpoint does not
    accept them (`temperature=0.0`).
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
        """Whether the reply may be truncated: true unless it is known to be finished."""
        return self.finish_reason != "stop"


class ChatModel(Protocol):
    """Anything that answers a chat request.

    `complete` raises `Transient` if a retry may help, `EndpointDown` if it will not until the user
    acts, and `ModelFault` if this one request cannot be answered.
    """

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request, once: no retries here."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class Transient(Exception):
    """A fault worth retrying; `retry_after_s` is set if the endpoint said how long to wait.

    `kind` is `throttled` or `server` for an error response, `connection` if no response came,
    `time-out` if none came in time, `unreadable` for an invalid one, and `unconnected` if nothing
    was sent. `billed` says whether the call may have been billed: not if it was refused or never
    sent.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, kind: FaultKind = "server"
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind: FaultKind = kind
        self.billed = kind in ("connection", "time-out", "unreadable")


class Unreached(EndpointDown):
    """An endpoint that cannot be reached and has answered nothing yet: its address may be wrong, or
    nothing listens there so far."""


def printable(text: str) -> str:
    """Return untrusted text without control characters and with lone surrogates replaced."""
    return encodable(UNPRINTABLE.sub("", text.replace("\r\n", "\n")))


def encodable(text: str) -> str:
    """Return untrusted text with lone surrogates replaced, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()
