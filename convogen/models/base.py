"""The single interface to language models: `ChatModel.complete(request) -> ModelReply`.

Retries, limits, the journal and the ledger are added in `traffic/`, once for all models.
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
    """Sampling parameters for a role. A parameter that is None is left out of the request."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[str] | None = None
    seed: int | None = None
    extra: dict[str, Any] | None = Field(
        default=None, description="additional keys for the request body"
    )

    def with_defaults(self, base: Sampling) -> Sampling:
        """Return these settings, with unset settings taken from `base`. An explicit null counts as
        set."""
        return base.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat request."""

    role: Literal["system", "user", "assistant"]
    content: str


def merged(messages: Iterable[Message]) -> list[Message]:
    """Drop empty messages, merge consecutive messages with the same role, and return the result,
    in which roles alternate."""
    result: list[Message] = []
    for message in messages:
        if not message.content.strip():
            continue
        if result and result[-1].role == message.role:
            message = Message(message.role, f"{result.pop().content}\n\n{message.content}")
        result.append(message)
    return result


def without_system(messages: Sequence[Message]) -> list[Message]:
    """Return messages for a model without a system role. System messages become user messages at
    the start."""
    system = [message for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system or not rest:
        return list(messages)
    return merged([*(Message("user", message.content) for message in system), *rest])


@dataclass(frozen=True)
class Request:
    """One model call, independent of any endpoint's dialect.

    Attributes:
        schema: JSON Schema for the requested JSON object; None requests text.
        top_logprobs: Number of alternatives per token for which log-probabilities are requested.
        choices: Replies from which the prompt asks the model to choose; empty if the prompt offers
        no choice.
        dialogue: Identifier of the task, for a chatbot that keeps one memory per session.
        continuations: If given, the likelihood of each continuation after the single message is
        requested instead of a reply (`backends/likelihood.py`).
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
        """The hash of everything that determines the reply, as 24 hexadecimal digits."""
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
    """One token of a reply, with its log-probability and the alternatives' log-probabilities."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A model's reply to a request.

    Attributes:
        finish_reason: `stop`, `length` or any other reason that the endpoint reports.
        model: Name of the model that wrote the reply; empty until it is known.
        thought: Whether the reply contained thinking, which is omitted from `text`.
        served: Name under which the endpoint serves the model.
        left_out: Settings that were not sent because the endpoint does not accept them, such as
        `temperature=0.0`.
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
        """Whether the reply may be truncated: true unless it is known to be complete."""
        return self.finish_reason != "stop"


class ChatModel(Protocol):
    """A model that answers chat requests.

    `complete` raises `Transient` if a retry may help, `EndpointDown` if retries cannot help until
    the user acts, and `ModelFault` if only this request cannot be answered.
    """

    async def complete(self, request: Request) -> ModelReply:
        """Answer a request in a single attempt, without retries."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Transient(Exception):
    """A failed attempt that is worth retrying.

    Attributes:
        kind: `throttled` or `server` for an error response, `connection` if the connection broke,
        `time-out` if no response arrived in time, `unreadable` for an invalid response, and
        `unconnected` if nothing was sent.
        retry_after_s: Seconds to wait before the next attempt, if the endpoint requested a delay.
        billed: Whether the attempt may have been billed: false if it was refused or never sent.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, kind: FaultKind = "server"
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind: FaultKind = kind
        self.billed = kind in ("connection", "time-out", "unreadable")


class Unreached(EndpointDown):
    """An endpoint that has never responded cannot be reached. Its address may be wrong, or its
    server may not have started yet."""


def printable(text: str) -> str:
    """Return untrusted text without control characters and with lone surrogates replaced."""
    return encodable(UNPRINTABLE.sub("", text.replace("\r\n", "\n")))


def encodable(text: str) -> str:
    """Replace lone surrogates in untrusted text, because UTF-8 cannot encode them."""
    return text.encode("utf-8", "replace").decode()
