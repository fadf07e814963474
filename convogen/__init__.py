"""Synthetic multi-party conversations: grounded, diverse, reproducible, and measured.

>>> from convogen import Experiment, run
>>> experiment = Experiment.load("GPIS-s", overrides={"n": 2, "models": "scripted"})
>>> result = run(experiment, out=folder)
>>> [len(conversation.turns) for conversation in result.conversations()]
[10, 10]

`load_run(folder)` opens the same run again later. In a notebook, which already runs an event loop,
use `await run_async(experiment)`. The base classes for plugins are in `convogen.extend`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convogen.version import __version__

if TYPE_CHECKING:
    from convogen.corpora import open_corpus
    from convogen.engine.judge_runner import judge_run, judge_run_async
    from convogen.engine.runner import run, run_async
    from convogen.errors import (
        BudgetReached,
        ClusterError,
        ConvogenError,
        EndpointDown,
        ExperimentError,
        Hopeless,
        LoopRunning,
        ModelConfigError,
        ModelFault,
        PluginError,
        RunFolderError,
        RunStopped,
        SourceError,
        TooManyFailures,
        TooManyRejected,
        UserError,
        WorkersDied,
    )
    from convogen.experiment.experiment import Experiment
    from convogen.exports import export_run
    from convogen.metrics import Statistics, measure
    from convogen.models.spec import ModelSpec
    from convogen.models.traffic.budget import Limits
    from convogen.records import Conversation, Experience, Failure, Persona, Score, Turn
    from convogen.storage.run_folder import Run, load_run

__all__ = [
    "BudgetReached",
    "ClusterError",
    "Conversation",
    "ConvogenError",
    "EndpointDown",
    "Experience",
    "Experiment",
    "ExperimentError",
    "Failure",
    "Hopeless",
    "Limits",
    "LoopRunning",
    "ModelConfigError",
    "ModelFault",
    "ModelSpec",
    "Persona",
    "PluginError",
    "Run",
    "RunFolderError",
    "RunStopped",
    "Score",
    "SourceError",
    "Statistics",
    "TooManyFailures",
    "TooManyRejected",
    "Turn",
    "UserError",
    "WorkersDied",
    "__version__",
    "export_run",
    "judge_run",
    "judge_run_async",
    "load_run",
    "measure",
    "open_corpus",
    "run",
    "run_async",
]

_HOMES = {
    "convogen.corpora": ("open_corpus",),
    "convogen.engine.runner": ("run", "run_async"),
    "convogen.experiment.experiment": ("Experiment",),
    "convogen.exports": ("export_run",),
    "convogen.engine.judge_runner": ("judge_run", "judge_run_async"),
    "convogen.metrics": ("Statistics", "measure"),
    "convogen.models.traffic.budget": ("Limits",),
    "convogen.models.spec": ("ModelSpec",),
    "convogen.storage.run_folder": ("Run", "load_run"),
    "convogen.records": ("Conversation", "Experience", "Failure", "Persona", "Score", "Turn"),
}
"""Maps modules to the public names that they define; exceptions are left out."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import convogen` stays light."""
    from importlib import import_module

    if name in __all__:
        homes = (home for home, names in _HOMES.items() if name in names)
        return getattr(import_module(next(homes, "convogen.errors")), name)
    raise AttributeError(f"module 'convogen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
