"""The goals of role plays (LLM Roleplay, appendix A), and the families of the models that take part
in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError

from convogen.errors import SourceError
from convogen.inputs.keys import Keys, first_fault
from convogen.inputs.yaml12 import read_yaml
from convogen.methods.roleplay.failures import Family
from convogen.text.speakers import one_line

__all__ = [
    "SPEAKER",
    "Goal",
    "content_hash",
    "families",
    "goals_of",
    "shipped",
]

SPEAKER = "user"

_DATA = Path(__file__).with_name("roleplay.yaml")


class Goal(Keys):
    """A goal that an inquirer pursues with the chatbot in several steps."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    goal: Annotated[str, Field(min_length=3, max_length=5_000)]
    domain: str = ""


@lru_cache(maxsize=1)
def shipped() -> dict[str, Any]:
    """Return the content of `roleplay.yaml`."""
    return cast("dict[str, Any]", read_yaml(_DATA))


def families() -> dict[str, Family]:
    """Return the model families, keyed by name."""
    given: dict[str, dict[str, Any]] = shipped()["families"]
    return {
        name: Family(
            system=family["system"],
            special_tokens=tuple(family["special_tokens"]),
            max_n=family["max_n"],
            r=family["r"],
            few_shot=family.get("few_shot", False),
        )
        for name, family in given.items()
    }


def goals_of(path: Path | None) -> list[Goal]:
    """Return the shipped goals or, if a path is given, the `goals` list in a YAML or JSON file.

    Raises `SourceError` if a goal is invalid; the message names the file and the goal.
    """
    if path is None:
        return [Goal(**given) for given in shipped()["goals"]]
    data = read_yaml(path)
    listed = cast("dict[str, Any]", data).get("goals") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not listed:
        raise SourceError(
            f"goals {path}: must contain a `goals` list in which each entry has a `name` and a "
            "`goal`"
        )
    return [_goal(path, nth, one) for nth, one in enumerate(cast("list[Any]", listed), 1)]


def _goal(path: Path, nth: int, given: Any) -> Goal:
    if isinstance(given, str):
        given = {"name": f"goal-{nth}", "goal": given}
    if not isinstance(given, dict):
        raise SourceError(
            f"goals {path}: goal {nth}: {given!r:.60} is not a goal; a goal must have a `name` "
            "and a `goal`"
        )
    try:
        goal = Goal.model_validate(given)
        return goal.model_copy(update={"name": one_line(goal.name)})
    except ValidationError as error:
        said = first_fault(error)
        raise SourceError(
            f"goals {path}: goal {nth}: {said}; a goal must have a `name` and a `goal`"
        ) from None


def content_hash(items: Sequence[BaseModel]) -> str:
    """Return a hash of the whole content of goals or personas."""
    text = json.dumps([one.model_dump(mode="json") for one in items], ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
