"""Who role-plays and for what: personas from sociodemographic features or a hub, and goals.

LLM Roleplay, sections 2 and 3.1, appendices A and B. A persona of features has all of them; those
that are switched off are not told. So a run on fewer features is about the same people.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from random import Random
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError

from convogen.errors import SourceError
from convogen.inputs.keys import Keys, first_fault
from convogen.inputs.yaml12 import read_yaml
from convogen.methods.roleplay.failures import Family
from convogen.personas import PersonaHub
from convogen.records import Persona
from convogen.text.speakers import one_line

__all__ = [
    "FEATURES",
    "SPEAKER",
    "Goal",
    "content_hash",
    "families",
    "goals_of",
    "hub_people",
    "people",
]

FEATURES = ("age", "race", "gender", "education", "native_english")
SPEAKER = "user"

_DATA = Path(__file__).with_name("roleplay.yaml")


class Goal(Keys):
    """What an inquirer wants of the chatbot, in several steps."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    goal: Annotated[str, Field(min_length=3, max_length=5_000)]
    domain: str = ""


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    return cast("dict[str, Any]", read_yaml(_DATA))


def families() -> dict[str, Family]:
    """The kinds of models by name."""
    given: dict[str, dict[str, Any]] = _shipped()["families"]
    return {
        name: Family(
            system=one["system"],
            special_tokens=tuple(one["special_tokens"]),
            max_n=one["max_n"],
            r=one["r"],
            few_shot=one.get("few_shot", False),
        )
        for name, one in given.items()
    }


def goals_of(path: Path | None) -> list[Goal]:
    """The shipped goals, or those of a YAML or JSON file: `goals:` with `name` and `goal` each.

    Raises `SourceError` naming the file and the goal that is none.
    """
    if path is None:
        return [Goal(**given) for given in _shipped()["goals"]]
    data = read_yaml(path)
    listed = cast("dict[str, Any]", data).get("goals") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not listed:
        raise SourceError(f"goals {path}: must have a list `goals`, of `name` and `goal` each")
    return [_goal(path, nth, one) for nth, one in enumerate(cast("list[Any]", listed), 1)]


def _goal(path: Path, nth: int, given: Any) -> Goal:
    if isinstance(given, str):
        given = {"name": f"goal-{nth}", "goal": given}
    if not isinstance(given, dict):
        raise SourceError(
            f"goals {path}: goal {nth}: {given!r:.60} is none; a goal has `name` and `goal`"
        )
    try:
        goal = Goal.model_validate(given)
        return goal.model_copy(update={"name": one_line(goal.name)})
    except ValidationError as error:
        said = first_fault(error)
        raise SourceError(
            f"goals {path}: goal {nth}: {said}; a goal has `name` and `goal`"
        ) from None


def people(n: int, features: Sequence[str], seed: int) -> list[Persona]:
    """The first `n` personas of a seed, each told by the `features` alone.

    They are drawn from all combinations, none twice before each was drawn once.
    """
    known: dict[str, dict[str, Any]] = _shipped()["features"]
    sizes = [len(known[name]["options"]) for name in FEATURES]
    total = prod(sizes)
    order: list[int] = []
    while len(order) < n:
        order += Random(f"{seed}/{len(order)}").sample(range(total), total)
    return [_persona(at, sizes, features, known) for at in order[:n]]


def _persona(at: int, sizes: list[int], features: Sequence[str], known: dict[str, Any]) -> Persona:
    told: list[str] = []
    for name, size in zip(FEATURES, sizes, strict=True):
        at, option = divmod(at, size)
        if name in features:
            told.append(known[name]["tell"].format(known[name]["options"][option]))
    text = ", ".join(["a person", *told]).replace("person, aged", "person aged")
    return Persona(name=SPEAKER, text=text, source="features", licence="Apache-2.0")


def hub_people(hub: PersonaHub, n: int, seed: int) -> list[Persona]:
    """`n` personas of a hub, none twice; raises `SourceError` where it has fewer."""
    if n > len(hub):
        raise SourceError(
            f"persona_source {hub.source}: has {len(hub)} personas, personas: asks for {n}"
        )
    chosen = Random(f"{seed}").sample(range(len(hub)), n)
    return [hub[at][0].named(SPEAKER) for at in chosen]


def content_hash(items: Sequence[BaseModel]) -> str:
    """Identifies goals or personas by all that is in them."""
    text = json.dumps([one.model_dump(mode="json") for one in items], ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
