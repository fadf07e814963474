"""Errors that an endpoint reports with an error status or in the body of a 200 response.

Gateways may report errors from the servers behind them in a response with status 200. Such an error
is treated as if the response had the status that the error names.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any, cast

from convogen.models.base import printable
from convogen.redaction import Secrets

__all__ = ["UNKNOWN", "Reported", "is_page", "read_error", "reported_error"]

MOST_CHARS = 1000
UNKNOWN = 500
"""Status assigned to an error that names no status. It counts as a server error and is retried."""

_NAMED = (
    (402, r"insufficient_(?:\w+_)?(?:quota|balance|credit|fund)|payment_required|billing|in_arrears"
          r"|recharge|top_up(?![a-z])|quota_(?:is_)?exhausted|credit_balance"
          r"|(?:out_of|no|not_enough|exceeded_your)_(?:[a-z]+_){0,2}(?:quota|credit|balance)"),
    (401, r"(?:invalid|incorrect|missing|no|expired)_(?:\w+_)?(?:api_?key|token(?!s)|credential)"
          r"|(?:api_?key|(?:access|auth)_token|credential)s?_(?:is_|are_|was_|has_|been_|not_)*"
          r"(?:invalid|incorrect|missing|expired|valid|found|provided|revoked|disabled)"
          r"|unauthori[sz]ed|unauthenticated|not_(?:authenticated|logged_in)|authentication"
          r"|login_fail"),
    (429, r"rate_?limit|too_many_requests|resource_?exhausted|throttl|quota_exceeded"),
    (503, r"overload|unavailable|at_capacity"),
    (404, r"unexpected_endpoint"),
)  # fmt: skip
"""HTTP statuses with patterns that match an error's code or type, or the message of an error that
has neither."""

_CODES = (
    *_NAMED,
    (404, r"model_not_found|not_?found(?:_error)?$"),
    (403, r"permission|forbidden|access_denied"),
    (504, r"time_?out|timed_out|deadline_exceeded"),
    (400, r"bad_?request|invalid_?(?:request|argument|param|prompt|value)|failed_precondition"
          r"|context_length|content_(?:filter|policy)|unsupported|string_above_max"),
)  # fmt: skip

_TITLE = re.compile(r"<title[^>]{0,200}>\s*+(.{1,200}?)\s*</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(script|style)\b.{0,20000}?</\1|<[^<>]{0,2000}>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reported:
    """An error in the body of a response: the equivalent HTTP status and the message."""

    status: int
    detail: str


def reported_error(body: object, secrets: Secrets) -> Reported | None:
    """Return the error that the body of a successful response reports; None if there is no error.

    The error may be at the top level or in a choice. A body without choices may itself be the
    error.
    """
    if isinstance(body, list) and body:
        body = cast("list[Any]", body)[0]  # as Google wraps its errors
    if not isinstance(body, dict):
        return None
    whole = cast("dict[str, Any]", body)
    error = _error(whole)
    if not error:
        return None
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    return Reported(_status(error, whole), _one_line(text, secrets))


def read_error(answer: bytes, secrets: Secrets) -> str:
    """Return an endpoint's error message as one line, with any secrets masked.

    For a web page, the message is the page's title, or its text if it has no title.
    """
    text = answer[:200_000].decode("utf-8", "replace")
    if is_page(answer):
        titled = _TITLE.search(text)
        said = html.unescape(titled[1] if titled else _TAG.sub(" ", text[:4000]))
        return _one_line(f'a web page, "{" ".join(said.split())[:200]}"', secrets)
    try:
        body = json.loads(answer)
        error = cast("dict[str, Any]", body).get("error", body)
        text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    except (ValueError, RecursionError, AttributeError):
        pass
    return _one_line(text, secrets)


def is_page(answer: bytes) -> bool:
    """Return whether a response is a web page and therefore not from an API."""
    return answer[:200].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _one_line(text: str, secrets: Secrets) -> str:
    return secrets.mask_error(printable(" ".join(text[:200_000].split())))[:MOST_CHARS]


def _error(body: dict[str, Any]) -> Any:
    """Return the error in a body as an object or a string; None if the body contains no error."""
    choices: Any = body.get("choices")
    first: Any = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    choice = cast("dict[str, Any]", first) if isinstance(first, dict) else {}
    for error in (body.get("error"), choice.get("error")):
        if isinstance(error, dict | str) and not (choice and _is_success(error)):
            if error:
                return cast("dict[str, Any] | str", error)
        elif isinstance(error, list) and error:
            return {"message": cast("list[Any]", error)}
    if choices:
        return None
    for key in ("errors", "base_resp"):
        value: Any = body.get(key)
        if isinstance(value, list) and value:
            value = cast("list[Any]", value)[0]
        if isinstance(value, dict | str) and value and not _is_success(value):
            return cast("dict[str, Any] | str", value)
    keys = ("message", "msg", "detail", "error_msg", "error_message")
    return body if any(isinstance(body.get(key), str) and body[key] for key in keys) else None


def _is_success(error: Any) -> bool:
    """Return whether an error object reports success, as some gateways' error objects do."""
    if not isinstance(error, dict):
        return False
    fields = cast("dict[str, Any]", error)
    codes = [fields[key] for key in ("code", "status_code") if key in fields]
    texts = ("message", "msg", "status_msg")
    return all(code in (0, 200, "0", "200", None, "") for code in codes) and (
        bool(codes) or not any(fields.get(key) for key in texts)
    )


def _status(error: Any, body: dict[str, Any]) -> int:
    if isinstance(error, str):
        return _by_name(error, _NAMED) or _by_code(body.get("code")) or UNKNOWN
    fields = cast("dict[str, Any]", error)
    keys = ("code", "status", "status_code", "http_status", "error_code", "type", "reason")
    for key in keys:
        if (status := _by_code(fields.get(key))) is not None:
            return status
    for key in ("message", "msg", "detail", "status_msg", "error_msg", "error_message"):
        if (status := _by_name(fields.get(key), _NAMED)) is not None:
            return status
    return UNKNOWN


def _by_code(code: Any) -> int | None:
    """Return the status for a code such as 429, "429" or "RESOURCE_EXHAUSTED"."""
    if isinstance(code, bool):
        return None
    if isinstance(code, int | float) or re.fullmatch(r"\d{3}", f"{code}"):
        return int(code) if 400 <= float(code) < 600 else None
    return _by_name(code, _CODES)


def _by_name(text: Any, names: tuple[tuple[int, str], ...]) -> int | None:
    if not isinstance(text, str):
        return None
    word = re.sub(r"[\s.:-]+", "_", text[:300]).casefold()
    return next((status for status, pattern in names if re.search(pattern, word)), None)
