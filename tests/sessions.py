"""A session in which models say what a test gives them, for what asks a model by itself."""

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
    """A session of these roles, all asked of one scripted model; needs a running event loop."""
    model = ScriptedModel(script)
    asked = {role: Role(ModelSpec(name="scripted"), drawn) for role, drawn in roles.items()}
    traffic = Traffic(asked, 4, RunProgress(), lambda _: model)
    return traffic.session(0, 0, Journal(folder / "journal.jsonl"))
