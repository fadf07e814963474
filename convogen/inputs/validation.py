"""What an experiment's keys may be, said in one line where one is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from convogen.errors import ExperimentError
from convogen.inputs.keys import place, words
from convogen.redaction import masked

__all__ = ["refuse_unknown", "validated"]


SECRETIVE = frozenset({"api_key_env", "headers", "http"})
"""Keys whose values no message quotes: people put secrets there."""


def validated(
    model: type[BaseModel], data: Mapping[str, Any], origin: str, extra: tuple[str, ...] = ()
) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ExperimentError(f"{origin}: {_explain(model, error, extra)}") from error


def _explain(model: type[BaseModel], error: ValidationError, extra: tuple[str, ...]) -> str:
    """The first complaint in one line: key, what was found, what is allowed."""
    detail = error.errors(include_url=False)[0]
    key = place(detail)
    if detail["type"] == "extra_forbidden":
        owner = _owner(model, detail["loc"][:-1])
        more = extra if owner is model else ()
        allowed = ", ".join([*owner.model_fields, *more]) if owner else ""
        return f"unknown key {key!r}" + (f"; allowed: {allowed}" if allowed else "")
    if not key:
        return words(detail)
    message = f"{key}: {words(detail)}"
    if detail["type"] == "missing" or not SECRETIVE.isdisjoint(detail["loc"]):
        return message  # what was found there may be a key
    if _may_hold_a_key(key, detail["input"]):
        return message
    return f"{message} (found {masked(str(detail['input']))[:80]!r})"


def _owner(kind: Any, loc: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model at a place below a type, through mappings, lists and unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not loc:
            return kind
        field = kind.model_fields.get(str(loc[0]))
        return _owner(field.annotation, loc[1:]) if field else None
    inside = get_args(kind)
    if get_origin(kind) in (dict, list, tuple):
        return _owner(inside[-1], loc[1:])
    return next((owner for one in inside if (owner := _owner(one, loc))), None)


def _may_hold_a_key(place: str, found: Any) -> bool:
    """Whether what stands at a place may be an endpoint's key, put there by mistake."""
    if place.endswith("api_key_env") or ("models" in place and isinstance(found, dict | list)):
        return True
    return ("url" in place or "replicas" in place) and "://" not in str(found)


def refuse_unknown(given: Mapping[str, Any], allowed: Any, where: str) -> None:
    for key in given:
        if key not in allowed:
            raise ExperimentError(f"{where}: unknown key {key!r}; allowed: {', '.join(allowed)}")
