"""A session with scripted models, for tests of components that call a model by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.models.traffic.session import Session

__all__ = ["scripted_session"]


def scripted_session(
    folder: Path, roles: Mapping[str, Sampling], script: Callable[[Request], Any]
) -> Session:
    """Return a session with these roles and one scripted model; an event loop must be running."""
    model = ScriptedModel(script)
    asked = {role: Role(ModelSpec(name="scripted"), drawn) for role, drawn in roles.items()}
    traffic = Traffic(asked, 4, RunProgress(), lambda _: model)
    return traffic.session(0, 0, Journal(folder / "journal.jsonl"))
