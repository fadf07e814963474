"""The base model for user input, which accepts only known keys and finite numbers, and does not
accept booleans as numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

__all__ = ["Keys", "first_fault", "no_boolean", "place", "words"]

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text; put numbers, true and false in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "mapping_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
    "too_short": "must have {min_length} or more entries, but has {actual_length}",
    "too_long": "must have {max_length} or fewer entries, but has {actual_length}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_unicode": "must be UTF-8",
    "invalid_key": "a key must be text; put numbers, true and false in quotes",
    "json_invalid": "is not valid JSON: {error}",
}
"""Maps pydantic error types to error messages; pydantic's own messages refer to Python."""


class Keys(BaseModel):
    """Base class of the models for users' files and options, whose instances are immutable.

    Unknown keys are errors. In Python, and therefore in pydantic, `true` equals 1; here, a boolean
    is an error unless the field is a boolean. Integers have at most 64 bits, as in YAML, so that
    run folders can be read back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _of_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"must fit in 64 bits ({-(2**63)} to {2**63 - 1})")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        return value if field is None or _takes_booleans(field.annotation) else no_boolean(value)


def words(detail: Any) -> str:
    """Return the description of one of pydantic's errors."""
    if (form := _WORDS.get(detail["type"])) is not None:
        said = form.format(**detail.get("ctx", {}))
        return said.replace("True, False", "true, false")
    return str(detail["msg"]).removeprefix("Value error, ")


def place(detail: Any) -> str:
    """Return the dotted path of an error, or an empty string for the top level."""
    return ".".join(str(part) for part in detail["loc"] if not str(part).startswith("function-"))


def first_fault(error: ValidationError, before: str = "") -> str:
    """Return the first error as one line: the path of the key, prefixed with `before`, and the
    problem."""
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(part for part in (before, place(detail)) if part)
    return f"{where}: {words(detail)}" if where else words(detail)


def no_boolean(value: Any) -> Any:
    """Return the value unchanged; raises `ValueError` if the value is or contains a boolean."""
    inside: Any = cast("Any", value).values() if isinstance(value, dict) else value
    if isinstance(value, bool):
        raise ValueError("must not be true or false")
    if isinstance(value, list | tuple | dict):
        for one in inside:
            no_boolean(one)
    return cast("Any", value)


@lru_cache(maxsize=512, typed=True)
def _takes_booleans(kind: Any) -> bool:
    """Return whether a type allows booleans or contains a model that checks its own values."""
    if kind is bool or kind is Any or isinstance(kind, bool):
        return True
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return True
    return any(_takes_booleans(part) for part in get_args(kind))
