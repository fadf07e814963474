"""The features that an endpoint supports, inferred from its refusals.

'OpenAI-compatible' endpoints differ in how JSON is requested and in which parameters they accept.
Refusals are free of charge, so a `Dialect` starts with all features and drops the refused ones.
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from convogen.models.base import Message, Request, merged, without_system

__all__ = ["Dialect"]

JsonMode = Literal["schema", "portable", "object", "text"]
LADDER: tuple[JsonMode, ...] = ("schema", "portable", "object", "text")
VARYING = "seed"
"""A parameter whose value differs in each request, so a refusal applies to all its values."""

OPTIONAL = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop", "seed")
FEWEST_LOGPROBS = 5
"""Number of alternatives per token to request from endpoints that do not accept OpenAI's 20."""

_NO_SYSTEM = re.compile(
    r"\bsystem['\"`]? (?:role|message|prompt|instruction)s?\b.*(?:\bnot\b|n't\b|\bunsupported\b)"
    r"|\bdeveloper instruction is not enabled\b"
    r"|['\"`]system['\"`].{0,40}(?:\bnot\b|\bunsupported\b)"
    r"|(?:\bnot support|\binvalid value:|\bunsupported (?:value|role):?|\bgot) ['\"`]?system\b"
    r"|\b(?:invalid|unknown|unsupported) role\b|\broles must alternate\b"
    r"|\b(?:only|permitted:|should be) ['\"`]?user['\"`]?(?:,| and| or) ['\"`]?assistant\b",
    re.IGNORECASE,
)
"""Pattern for error messages from servers whose chat template has no system role."""

_NAMED = (
    r"\b(?:argument|field|input|param(?:eter)?|property|option)s?\b[^.;]{{0,60}}?\b{0}\b"
    r"|\b(?:body|request|support|allow|permit|accept)\w*\W{{1,4}}{0}\b"
    r"|\b{0}\b(?:\W+\w+){{0,2}}?\W+"
    r"(?:not|\w+n't|only|must|should|unsupported|deprecated|forbidden)\b"
)
"""Pattern for error messages that name a refused parameter without quotation marks."""

JSON_WORDS = ("response_format", "json_schema", "schema", "grammar", "structured")


class Dialect:
    """The form in which requests are sent to one endpoint.

    JSON is requested in one of four ways: with the full JSON Schema (`schema`), with a schema
    without the bounds that strict endpoints refuse (`portable`), in JSON mode (`object`), or only
    in the prompt (`text`).
    """

    def __init__(self, json_mode: Literal["auto", "schema", "object", "text"] = "auto") -> None:
        self.json_mode: JsonMode = "schema" if json_mode == "auto" else json_mode
        self._fixed = json_mode != "auto"
        self._refused: set[tuple[str | None, str, Any]] = set()
        self.max_tokens_key = "max_tokens"
        self.max_logprobs: int | None = None
        self.takes_system = True

    @property
    def dropped(self) -> set[str]:
        """The parameters that were refused for at least one role and value."""
        return {key for _, key, _ in self._refused}

    def left_out(self, request: Request) -> tuple[str, ...]:
        """Return the settings, such as `top_p=0.9`, that a request contains but that are not sent.
        The seed is not listed, because users do not set it."""
        sent = request.sampling.model_dump(exclude_none=True, exclude={"extra"})
        refused = [
            f"{key}={value}"
            for key, value in sent.items()
            if key != VARYING and self._refuses(request.role, key, value)
        ]
        if not self.takes_system and any(one.role == "system" for one in request.messages):
            refused.append("a system message")
        if request.top_logprobs is not None and self.max_logprobs == 0:
            refused.append("log-probabilities")
        if request.schema is not None and not self._fixed and self.json_mode in ("object", "text"):
            refused.append("a JSON schema")
        return tuple(refused)

    def _refuses(self, role: str | None, key: str, value: Any) -> bool:
        value = None if key == VARYING else repr(value)
        return not {(role, key, value), (None, key, value)}.isdisjoint(self._refused)

    def body(self, request: Request) -> dict[str, Any]:
        """Return the body of a request in the endpoint's dialect."""
        sampling = request.sampling.model_dump(exclude_none=True, exclude={"extra"})
        taken = {k: v for k, v in sampling.items() if not self._refuses(request.role, k, v)}
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": m.role, "content": m.content} for m in self._messages(request)],
            **taken,
            **(request.sampling.extra or {}),
        }
        if "max_tokens" in body and self.max_tokens_key != "max_tokens":
            body[self.max_tokens_key] = body.pop("max_tokens")
        if request.top_logprobs is not None and self.max_logprobs != 0:
            asked = min(request.top_logprobs, self.max_logprobs or request.top_logprobs)
            body |= {"logprobs": True, "top_logprobs": asked}
        if request.schema is not None:
            body |= self._response_format(request.role, request.schema)
        return body

    def _messages(self, request: Request) -> list[Message]:
        """Return the request's messages with alternating roles and without empty messages."""
        messages = merged(request.messages)
        return messages if self.takes_system else without_system(messages)

    def _response_format(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        if self.json_mode == "text":
            return {}
        if self.json_mode == "object":
            return {"response_format": {"type": "json_object"}}
        wanted = schema if self.json_mode == "schema" else portable(schema)
        named = {"name": name, "strict": True, "schema": wanted}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def adapt(
        self,
        status: int,
        detail: str,
        body: dict[str, Any],
        mode: JsonMode,
        role: str | None = None,
    ) -> bool:
        """Adapt to a refusal of `body`, which was sent in JSON mode `mode`.

        If a parameter was refused, later requests from the same role (from every role if `role` is
        None) omit the parameter if it has the same value. If concurrent requests are refused for
        the same reason, the refusal counts only once.

        Returns:
            Whether a retry is worthwhile.
        """
        if status in (400, 403, 422) and "top_logprobs" in body and "logprobs" in detail:
            fewer = FEWEST_LOGPROBS if body["top_logprobs"] > FEWEST_LOGPROBS else 0
            known = self.max_logprobs
            self.max_logprobs = fewer if known is None else min(known, fewer)
            return True
        if status in (400, 422):
            if "max_tokens" in body and "max_completion_tokens" in detail:
                self.max_tokens_key = "max_completion_tokens"
                return True
            refused = [key for key in OPTIONAL if key in body and names(key, detail)]
            if refused:
                self._refused |= {
                    (role, key, None if key == VARYING else repr(body[key])) for key in refused
                }
                return True
        if status in (400, 422, 500) and _refuses_system(body, detail):
            self.takes_system = False
            return True
        if status not in (400, 404, 422, 500, 501) or "response_format" not in body:
            return False
        if self._fixed or not any(word in detail.lower() for word in JSON_WORDS):
            return False
        if mode == self.json_mode:
            self.json_mode = LADDER[LADDER.index(mode) + 1]
        return True


def _refuses_system(body: dict[str, Any], detail: str) -> bool:
    """Return whether a request has a system message and an error refers to it."""
    has_system = any(message["role"] == "system" for message in body["messages"])
    return has_system and _NO_SYSTEM.search(detail) is not None


def names(key: str, detail: str) -> bool:
    """Return whether an error names a parameter, rather than containing its name as an ordinary
    word.

    The name must be quoted, follow a word such as `parameter`, or precede a phrase such as
    `not supported`.
    """
    if any(f"{mark}{key}{mark}" in detail for mark in ("'", '"', "`")):
        return True
    return re.search(_NAMED.format(key), detail, re.IGNORECASE) is not None


def portable(schema: Any) -> Any:
    """Return a JSON Schema without the keywords, such as bounds, that strict endpoints refuse."""
    bounds = {"minLength", "maxLength", "minimum", "maximum", "pattern", "title", "default"}
    if isinstance(schema, dict):
        items = cast("dict[str, Any]", schema)
        return {
            key: _properties(value) if key == "properties" else portable(value)
            for key, value in items.items()
            if key not in bounds
        }
    if isinstance(schema, list):
        return [portable(item) for item in cast("list[Any]", schema)]
    return schema


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    """Return properties with portable schemas; keep properties whose names are schema keywords."""
    return {name: portable(value) for name, value in properties.items()}
