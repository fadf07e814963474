"""Settings for a chatbot with an HTTP API: the request, and the path to the reply in the response.

    http:
      url: https://bot.example/api/sessions/{{ session }}/messages
      headers: {Authorization: "Bearer {{ env.BOT_TOKEN }}"}
      body: {text: "{{ message }}", lang: en}
      answer: data.replies[0].text

Jinja renders the templates in a sandbox. `message` is the latest message to the chatbot, `session`
is the id of the dialogue, and `messages` is the list of all messages so far (with `role` and
`content`). `env.NAME` is the value of an environment variable; secrets are allowed only in such
variables. In a JSON body, each string is a separate template. A string that consists only of
`{{ messages }}` is replaced by the list.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

import jinja2
import jinja2.meta
import jinja2.sandbox
from pydantic import Field, field_validator

from convogen.inputs.keys import Keys
from convogen.models.network import is_url
from convogen.redaction import SECRET_NAME, public_url

__all__ = ["Http", "at_path", "checked_headers", "environment", "fill", "shape", "variables"]

IN_BODY = {"message", "messages", "session", "env"}
IN_URL = {"session", "env"}
IN_HEADER = {"env"}
FIXED = ("connection", "content-length", "content-type", "host", "transfer-encoding")
"""Headers that convogen sets itself."""

_ENVIRONMENT = jinja2.sandbox.SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False
)
SECRET_KEY = re.compile(
    r"(?:api|access|private)[-_]?key|token$|secret|passw|authorization|credential", re.IGNORECASE
)
"""Pattern for keys in a body whose values are treated as secrets. It is narrower than the pattern
for header names, because bodies contain ordinary text."""

_ENV = re.compile(r"\benv\.([A-Za-z_]\w*)")
_WHOLE = re.compile(r"\{\{\s*messages\s*\}\}")
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d{1,6})\]")


class Http(Keys):
    """The request to a chatbot and the path to its answer, without secrets."""

    url: str = Field(
        description="URL that receives the messages; its path may contain {{ session }}"
    )
    headers: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="request headers; write secrets as {{ env.NAME }}",
    )
    body: dict[str, Any] = Field(
        description="JSON request body; must contain {{ message }} or {{ messages }}"
    )
    answer: str = Field(
        pattern=r"^[^\s]{1,200}$",
        description="path to the answer in the JSON response, such as data.replies[0].text",
    )

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        _check(value, IN_URL)
        parts = urlsplit(value)
        if not is_url(f"{parts.scheme}://{parts.netloc}"):
            raise ValueError("must be an HTTP or HTTPS URL, such as https://bot.example/chat")
        return value

    @field_validator("headers")
    @classmethod
    def _hold_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        return checked_headers(value)

    @field_validator("body")
    @classmethod
    def _asks(cls, value: dict[str, Any]) -> dict[str, Any]:
        texts = list(_texts(value))
        for text in texts:
            _check(text, IN_BODY)
        for key, text in _keys(value):
            if "{{" in key or "{%" in key:
                raise ValueError(f"{key[:60]!r}: templates are allowed only in values, not in keys")
            if SECRET_KEY.search(key) and text.strip() and "{{" not in text:
                raise ValueError(
                    f"{key}: must not contain a secret; write {{{{ env.NAME }}}} to read it from "
                    "an environment variable"
                )
        if not any(re.search(r"\{\{.*\bmessages?\b", text) for text in texts):
            raise ValueError("must contain {{ message }} or {{ messages }}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot be written as JSON: {error}") from None
        return value

    @field_validator("answer")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if "".join(step[0] for step in _STEP.finditer(value)) != value:
            raise ValueError("must consist of keys and list indices, such as data.replies[0].text")
        return value

    @property
    def needs(self) -> list[str]:
        """The names of the environment variables that the templates use."""
        return variables([self.url, *self.headers.values(), *_texts(self.body)])

    @property
    def secrets(self) -> dict[str, str]:
        """The environment variables in `needs`, as a mapping from names to values."""
        return environment(self.needs)

    def public(self) -> Http:
        """Return a copy without secrets in its URL."""
        return self.model_copy(update={"url": public_url(self.url)})


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers unchanged; raise `ValueError` if a header is invalid or contains a
    secret."""
    for name, text in headers.items():
        _check(text, IN_HEADER)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) or re.search(r"[\r\n]", text):
            raise ValueError(
                f"{name[:100]!r} is not a valid header: its name must consist of up to 100 "
                "letters, digits, - and _, and its value must not contain a line break"
            )
        if name.lower() in FIXED:
            raise ValueError(f"{name} is set by convogen and cannot be changed; remove it")
        if (SECRET_NAME.search(name) or name.lower() == "cookie") and not _ENV.search(text):
            raise ValueError(
                f"{name}: must not contain a secret; write {{{{ env.NAME }}}} to read it from an "
                "environment variable"
            )
    return headers


def variables(texts: Iterable[str]) -> list[str]:
    """Return the names of the environment variables that templates use, in alphabetical order."""
    return sorted({name for text in texts for name in _ENV.findall(text)})


def environment(names: Iterable[str]) -> dict[str, str]:
    """Return environment variables as a mapping from names to values.

    Raises:
        KeyError: If a variable is unset or empty. The error's argument is the variable's name.
        ValueError: If a value contains a control character, which no HTTP header may contain.
    """
    values = {name: os.environ.get(name, "").strip() for name in names}
    for name, value in values.items():
        if not value:
            raise KeyError(name)
        if not value.isprintable():
            raise ValueError(
                f"the environment variable {name} contains a line break or another control "
                "character; remove the character"
            )
    return values


def fill(value: Any, given: Mapping[str, Any]) -> Any:
    """Render a string or all strings in a body; raise `jinja2.TemplateError` if a template
    fails."""
    if isinstance(value, str):
        if _WHOLE.fullmatch(value.strip()):
            return given["messages"]
        return _template(value).render(given)
    if isinstance(value, dict):
        return {key: fill(item, given) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [fill(item, given) for item in cast("list[Any]", value)]
    return value


@lru_cache(maxsize=256)
def _template(text: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(text)


def at_path(data: Any, path: str) -> str:
    """Return the string at a path in a response.

    Raises:
        LookupError: If there is no string at the path. The message describes what was found.
    """
    for step in _STEP.finditer(path):
        key, item = step.groups()
        try:
            if not isinstance(data, list if key is None else dict):
                raise LookupError
            data = cast("Any", data)[int(item) if key is None else key]
        except LookupError:
            wanted = step[0].lstrip(".")
            raise LookupError(f"{wanted!r} is missing; found {shape(data)}") from None
    text: Any = data
    if not isinstance(text, str):
        raise LookupError(f"found {shape(data)} instead of a string")
    return text


def shape(value: Any) -> str:
    """Describe a value in words: by its keys if it is an object, otherwise by its type."""
    kind = type(value).__name__
    known = list(cast("dict[str, Any]", value))[:12] if kind == "dict" else []
    keys = "key" if len(known) == 1 else "keys"
    return f"the {keys} {', '.join(known)}" if known else f"a value of type {kind}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in cast("dict[str, Any]", value).values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)


def _keys(value: Any, under: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key in a body, paired with an empty string and then with each string directly
    under the key."""
    if isinstance(value, str):
        yield under, value
    elif isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            yield f"{key}", ""
            yield from _keys(item, f"{key}")
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _keys(item, under)


def _check(text: str, allowed: set[str]) -> None:
    try:
        used = jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{text[:60]!r} is not a valid template: {error.message}") from None
    if unknown := sorted(used - allowed):
        raise ValueError(
            f"{text[:60]!r} uses {', '.join(unknown)}; variables allowed here: "
            f"{', '.join(sorted(allowed))}"
        )
