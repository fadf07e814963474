"""Synthetic multi-party conversations: grounded, diverse, reproducible, and measured.

>>> from convogen import Experiment, run
>>> experiment = Experiment.load("GPIS-s", overrides={"n": 2, "models": "scripted"})
>>> result = run(experiment, out=folder)
>>> [len(conversation.turns) for conversation in result.conversations()]
[10, 10]

`load_run(folder)` opens the same run again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convogen.engine import run
    from convogen.experiment import Experiment
    from convogen.store import Run, load_run
    from convogen.types import Conversation, Experience, Failure, Persona, Turn

__version__ = "0.1.0"

__all__ = [
    "Conversation",
    "Experience",
    "Experiment",
    "Failure",
    "Persona",
    "Run",
    "Turn",
    "__version__",
    "load_run",
    "run",
]

_HOMES = {
    "Conversation": "convogen.types",
    "Experience": "convogen.types",
    "Experiment": "convogen.experiment",
    "Failure": "convogen.types",
    "Persona": "convogen.types",
    "Run": "convogen.store",
    "Turn": "convogen.types",
    "load_run": "convogen.store",
    "run": "convogen.engine",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import convogen` stays light."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'convogen' has no attribute {name!r}")
