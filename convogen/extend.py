"""The base classes of plugins, and the values that their methods receive.

A plugin is a class in an installed package, named by an entry point. The table lists the groups,
and what a class must define besides `name`, which must equal the entry point's name:

| group | base | class variables | methods |
| --- | --- | --- | --- |
| `convogen.methods` | `Method` | `roles`, `prompt_names` | `start(inputs) -> Play` |
| `convogen.judges` | `Judge` | `sampling`, `prompt_names` | `aspects`, `judge` |
| `convogen.gates` | `Gate`, `OrderedGate` | | `check`; `start` of an ordered one |
| `convogen.exporters` | `Exporter` | `container`, `about_rows` | `columns`, `rows`; `pack` |
| `convogen.readers` | `Reader` | `about` | `fits`, `convert`; `breaks` if rows group |
| `convogen.metrics` | `Metric` | `about`, `unit` | `add`, `value` |

Methods, judges, gates and exporters are frozen pydantic models: each field is a key of an
experiment or of `--set KEY=VALUE`. Readers and metrics are created without arguments.

Prompts are files next to the class's module, or next to a package above it, for each of
`prompt_names`: `prompts/<method>/<step>.md`, `prompts/judges/<judge>-<step>.md`,
`prompts/gates/<gate>-<step>.md`, or in a folder of that name: `<method>/prompts/<step>.md`. Their
hashes are in fingerprints and manifests, and users can replace each with a file of their own:
`prompts:` in an experiment, `own_prompts` of a judge or gate. A step that shares another class's
prompt declares this in `prompt_owners`, for example `{"agent": "convogen"}`. `load_prompt(name,
owner=MyClass)` loads any other file of that folder.

On a cluster, several processes play a run's tasks. Tasks that share state in a method's `Play` form
a lineage, and one process plays all of it. `lineages` and `lineage` define the lineages; by
default, all tasks form one. `lineages` returns None if the play keeps no state.

A model's mistake is a `ModelFault`: record it as a failure, as the reason for a rejection, or as a
score of None. For a row that a reader cannot read, raise `RowError`. Import heavy packages inside
the functions that need them, since a command that lists the names of a kind imports its plugins.

>>> class Turns(Metric):
...     name, about, unit = "turns", "how many turns there are", "turns"
...     def __init__(self) -> None:
...         self.count = 0
...     def add(self, conversation: Conversation) -> None:
...         self.count += len(conversation.turns)
...     def value(self) -> float:
...         return self.count

`examples/plugin/` in convogen's repository has one of each kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convogen.corpora.base import Reader
    from convogen.corpora.rows import Row, RowError
    from convogen.errors import ExperimentError, ModelFault, SourceError, UserError
    from convogen.exports.base import TURN, Column, Container, Exporter, Item, Packing
    from convogen.gates.base import Candidate, Filter, Gate, OrderedGate, Rejection
    from convogen.judges.base import Judge, JudgeInput
    from convogen.methods.base import Method, Play, RunInputs, Task
    from convogen.metrics.base import Metric
    from convogen.models.base import Message, Sampling
    from convogen.models.traffic.session import Session, SessionReply
    from convogen.prompts import Prompt, load_prompt
    from convogen.records import (
        Conversation,
        Experience,
        Failure,
        Persona,
        Score,
        Starter,
        Turn,
        Usage,
    )
    from convogen.storage.run_folder import Outcome, Run

__all__ = [
    "TURN",
    "Candidate",
    "Column",
    "Container",
    "Conversation",
    "Experience",
    "ExperimentError",
    "Exporter",
    "Failure",
    "Filter",
    "Gate",
    "Item",
    "Judge",
    "JudgeInput",
    "Message",
    "Method",
    "Metric",
    "ModelFault",
    "OrderedGate",
    "Outcome",
    "Packing",
    "Persona",
    "Play",
    "Prompt",
    "Reader",
    "Rejection",
    "Row",
    "RowError",
    "Run",
    "RunInputs",
    "Sampling",
    "Score",
    "Session",
    "SessionReply",
    "SourceError",
    "Starter",
    "Task",
    "Turn",
    "Usage",
    "UserError",
    "load_prompt",
]

_HOMES = {
    "convogen.corpora.base": ("Reader",),
    "convogen.corpora.rows": ("Row", "RowError"),
    "convogen.errors": ("ExperimentError", "ModelFault", "SourceError", "UserError"),
    "convogen.exports.base": ("TURN", "Column", "Container", "Exporter", "Item", "Packing"),
    "convogen.gates.base": ("Candidate", "Filter", "Gate", "OrderedGate", "Rejection"),
    "convogen.judges.base": ("Judge", "JudgeInput"),
    "convogen.methods.base": ("Method", "Play", "RunInputs", "Task"),
    "convogen.metrics.base": ("Metric",),
    "convogen.models.base": ("Message", "Sampling"),
    "convogen.models.traffic.session": ("SessionReply", "Session"),
    "convogen.prompts": ("Prompt", "load_prompt"),
    "convogen.storage.run_folder": ("Outcome", "Run"),
    "convogen.records": (
        "Conversation",
        "Experience",
        "Failure",
        "Persona",
        "Score",
        "Starter",
        "Turn",
        "Usage",
    ),
}


def __getattr__(name: str) -> Any:
    """Return a public name, imported on first use, since a reader does not need exporters."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'convogen.extend' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
