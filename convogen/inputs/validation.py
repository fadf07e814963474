"""Validation of keys, with one-line errors that name the allowed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from convogen.errors import ExperimentError, UserError
from convogen.inputs.keys import place, words
from convogen.inputs.names import guess
from convogen.redaction import masked

__all__ = ["explain", "refuse_unknown", "validated"]


SECRETIVE = frozenset({"api_key_env", "headers", "http"})
"""Keys whose values are never quoted in messages because they may contain secrets."""


def validated(
    model: type[BaseModel],
    data: Mapping[str, Any],
    origin: str,
    extra: Iterable[str] = (),
    raising: type[UserError] = ExperimentError,
) -> Any:
    """Return a mapping validated as a model.

    Args:
        model: The model class.
        data: The mapping to validate.
        origin: The start of the error message, such as the name of a file.
        extra: Keys that the error message lists as allowed in addition to the model's own.
        raising: The exception raised, with a one-line message, if the mapping is invalid.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        said = explain(error, model, [*model.model_fields, *extra])
        raise raising(f"{origin}: {said}") from error


def explain(
    error: ValidationError, model: type[BaseModel], allowed: Iterable[str], before: str = ""
) -> str:
    """Return the first error as one line: the key, the value found and the allowed values.

    Args:
        error: The error raised by the model, or by a model that includes its keys.
        model: The model class.
        allowed: The keys that users may write at the top level of the model.
        before: The dotted path of the model; empty for the top level.
    """
    detail = error.errors(include_url=False)[0]
    key = ".".join(part for part in (before, place(detail)) if part)
    owner = _owner(model, detail["loc"][:-1])
    if detail["type"] == "extra_forbidden":
        if owner is None:
            return f"unknown key {key!r}"
        keys = list(allowed if owner is model else owner.model_fields)
        meant = guess(key.rpartition(".")[2], keys)
        return f"unknown key {key!r}; {meant}allowed: {', '.join(keys) or 'none'}"
    if not key:
        return words(detail)
    message = f"{key}: {words(detail)}"
    if detail["type"] == "missing":
        field = owner.model_fields.get(str(detail["loc"][-1])) if owner else None
        return f"{message}: {field.description}" if field and field.description else message
    if not SECRETIVE.isdisjoint(detail["loc"]) or _may_hold_a_key(key, detail["input"]):
        return message  # the value may be an API key
    return f"{message} (found {masked(str(detail['input']))[:80]!r})"


def _owner(kind: Any, loc: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model at a path below a type, following mappings, lists and unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not loc:
            return kind
        field = kind.model_fields.get(str(loc[0]))
        return _owner(field.annotation, loc[1:]) if field else None
    inside = get_args(kind)
    if get_origin(kind) in (dict, list, tuple):
        return _owner(inside[-1], loc[1:])
    return next((owner for one in inside if (owner := _owner(one, loc))), None)


def _may_hold_a_key(place: str, value: Any) -> bool:
    """Return whether a value may be an API key that was entered in the wrong place."""
    if place.endswith("api_key_env") or ("models" in place and isinstance(value, dict | list)):
        return True
    return ("url" in place or "replicas" in place) and "://" not in str(value)


def refuse_unknown(given: Mapping[str, Any], allowed: Any, where: str) -> None:
    for key in given:
        if key not in allowed:
            listed = f"{guess(key, allowed)}allowed: {', '.join(allowed)}"
            raise ExperimentError(f"{where}: unknown key {key!r}; {listed}")
