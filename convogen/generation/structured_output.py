"""Structured output: request JSON objects from a model, parse and validate them, and retry.

If the endpoint supports structured output, it is used. Every reply is parsed and validated. If a
reply is invalid, or contains a string that was cut off at the `maxLength` of its schema, the
request is retried with a complaint for the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from convogen.errors import ModelFault
from convogen.models.base import Message, printable
from convogen.models.traffic.context_window import ContextWindow
from convogen.models.traffic.session import Session, SessionReply
from convogen.text.lengths import BoundedText, cut_texts
from convogen.text.objects import NoObject, find_object, is_blank_loop
from convogen.text.speakers import tidy_name, without_titles

__all__ = [
    "StructuredReply",
    "UnusableReply",
    "ask_draft",
    "find_json",
    "first_name",
    "name_of_a_person",
    "parse_draft",
    "read_draft",
    "read_object",
    "schema_of",
]

_SHOWN_CHARS = 12_000
"""Maximum length, in characters, of a rejected reply that is shown to the model again."""

_CUT_OFF = "it was cut off before its end; keep each text to the words asked for"

BLANK_LOOP = "blank_loop"
"""The fault of a reply that ends in white space up to the token limit."""

MOST_BLANK_LOOPS = 2
"""Number of blank loops after which a request is no longer retried, since each blank loop costs the
full token limit."""

_COMPLAINTS = 3
"""Maximum number of truncated texts named in a complaint."""

_MOST_NAME = 80
"""Maximum length of a name, in characters."""

T = TypeVar("T")
D = TypeVar("D", bound="StructuredReply")


class StructuredReply(BaseModel):
    """The base class of parsed replies. Extra keys, surrounding white space and control characters
    are dropped.

    Raw replies have no control characters, but their JSON strings may contain escaped control
    characters.
    """

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._readable(item) for item in cast("list[Any]", value)]
        return printable(value) if isinstance(value, str) else value


class UnusableReply(Exception):
    """An error in a draft, worded for the model.

    Attributes:
        kind: A short name of the error for the record.
        afresh: Whether the retry hides the rejected reply from the model.
    """

    def __init__(self, complaint: str, *, kind: str = "invalid", afresh: bool = False) -> None:
        super().__init__(complaint)
        self.kind = kind
        self.afresh = afresh


async def ask_draft(
    session: Session,
    role: str,
    messages: Sequence[Message],
    *,
    model: type[D],
    parse: Callable[[D, SessionReply], T],
    reasks: int,
    kind: str,
) -> tuple[T, list[str]]:
    """Request drafts until `parse` accepts one. `parse` raises `UnusableReply` to reject a draft.

    If a request does not fit into the model's context, the token limit for the reply is reduced. If
    that is not enough, the retry does not show the rejected draft.

    Returns:
        The result of `parse`, and the kinds of errors in the rejected replies, in order.

    Raises:
        ModelFault: Of kind `kind` if none of 1 + `reasks` replies is usable; of kind `blank_loop`
            as soon as two replies end in white space up to the token limit.
    """
    window = ContextWindow(session)
    asking, complaint, kinds = list(messages), "", list[str]()
    answer: SessionReply | None = None
    for _ in range(1 + reasks):
        shorter = [asking, list(messages)] if len(asking) > len(messages) else [asking]
        fitted = await window.ask(
            role, shorter.__getitem__, len(shorter) - 1, schema=schema_of(model)
        )
        answer = fitted.answer
        try:
            return parse(read_draft(answer, model), answer), kinds
        except UnusableReply as fault:
            complaint = str(fault)
            kinds.append(fault.kind)
            if kinds.count(BLANK_LOOP) == MOST_BLANK_LOOPS:
                raise _blank_loop(answer) from fault
            shown = "" if fault.afresh else answer.text[:_SHOWN_CHARS].strip()
        asking = list(messages)
        if shown:  # Some endpoints refuse an empty message.
            again = f"That cannot be used: {complaint}. Write the whole object again."
            asking += [Message("assistant", shown), Message("user", again)]
    assert answer is not None
    raise ModelFault(kind, complaint, answer.text)


def _blank_loop(answer: SessionReply) -> ModelFault:
    said = " ".join(answer.text.split())[:200]
    message = (
        f"{MOST_BLANK_LOOPS} replies ended in white space up to the token limit, which happens if "
        "an endpoint forces a model to write JSON; set `json_mode: text` for the model to request "
        "JSON by the prompt alone"
    )
    return ModelFault(BLANK_LOOP, message, f"{said} […{len(answer.text):,} characters]")


def read_draft(answer: SessionReply, model: type[D]) -> D:
    """Return the draft in a reply.

    Raises `UnusableReply` if there is no valid draft or one of its strings was cut off.
    """
    draft, cut = parse_draft(answer, model)
    if cut:
        complaint = "; ".join(text.complaint() for text in cut[:_COMPLAINTS])
        raise UnusableReply(complaint, kind="cut_off")
    return draft


def parse_draft(answer: SessionReply, model: type[D]) -> tuple[D, list[BoundedText]]:
    """Return the draft in a reply, and the strings in the draft that were cut off.

    Raises:
        UnusableReply: If the reply contains no valid draft.
    """
    data = read_object(answer, model.model_fields)
    try:
        draft = model.model_validate(data)
    except ValidationError as error:
        if answer.cut_off:
            raise UnusableReply(_CUT_OFF, kind="cut_off") from error
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise UnusableReply(f"{where}: {detail['msg']}") from error
    return draft, cut_texts(data, schema_of(model), answer.finish_reason)


def read_object(answer: SessionReply, keys: Collection[str]) -> dict[str, Any]:
    """Return the JSON object in a reply; the object should have the given keys.

    Raises:
        UnusableReply: If there is no object; of kind `cut_off` or `blank_loop` if the reply reached
            its token limit.
    """
    try:
        return find_object(answer.text, keys)
    except NoObject as fault:
        if answer.cut_off and is_blank_loop(answer.text):
            blank = "it ends in white space without end; write the object alone"
            raise UnusableReply(blank, kind=BLANK_LOOP, afresh=True) from fault
        if answer.cut_off:
            raise UnusableReply(_CUT_OFF, kind="cut_off") from fault
        raise UnusableReply(f"{fault}") from fault


def find_json(text: str, keys: Collection[str] = ()) -> dict[str, Any] | None:
    """Return the first JSON object in a text, as `find_object` does; None if there is no object."""
    try:
        return find_object(text, keys)
    except NoObject:
        return None


def first_name(name: str) -> str:
    """Return the first word in a name that is not a title, in lower case."""
    _, words = without_titles(tidy_name(name))
    return words[0].strip(".").casefold() if words else ""


def name_of_a_person(name: str) -> str:
    """Return a person's name in the form used for comparison.

    Raises `ValueError` if the text is not a name: names are short and contain letters, but no line
    breaks, digits, or marks of code, templates and labels.
    """
    tidied = tidy_name(name)
    several = len(name.splitlines()) > 1 or len(tidied) > _MOST_NAME
    if several or re.search(r"[\d{}\[\]<>|_\\:]", tidied) or not re.search(r"[^\W\d_]", tidied):
        raise ValueError(f"{name!r} is no name of a person")
    return tidied


@lru_cache(maxsize=32)
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema for a draft, with every object closed and all keys required."""
    schema = model.model_json_schema()
    for node in [schema, *schema.get("$defs", {}).values()]:
        node["additionalProperties"] = False
        node["required"] = list(node["properties"])
        for field in node["properties"].values():
            field.pop("default", None)
    return schema
