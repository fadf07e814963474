"""The base classes of plugins, and the types that their methods receive.

A plugin is a class in an installed package, declared by an entry point. The class must define
`name`, which must equal the name of the entry point. The table lists the groups of entry points and
the further class variables and methods that each base class requires:

| group | base | class variables | methods |
| --- | --- | --- | --- |
| `convogen.methods` | `Method` | `roles`, `prompt_names` | `start(inputs) -> Play` |
| `convogen.judges` | `Judge` | `sampling`, `prompt_names` | `aspects`, `judge` |
| `convogen.gates` | `Gate`, `OrderedGate` | | `check`; `OrderedGate`: `start` |
| `convogen.exporters` | `Exporter` | `container`, `about_rows` | `columns`, `rows`; `pack` |
| `convogen.readers` | `Reader` | `about` | `fits`, `convert`; `breaks` if rows form groups |
| `convogen.metrics` | `Metric` | `about`, `unit` | `add`, `value` |

Methods, judges, gates and exporters are frozen pydantic models; users set their fields as keys in
an experiment or with `--set KEY=VALUE`. Readers and metrics are created without arguments.

Each name in `prompt_names` is a step with a prompt file. The file is stored next to the class's
module or next to a package above it, as `prompts/<method>/<step>.md`,
`prompts/judges/<judge>-<step>.md` or `prompts/gates/<gate>-<step>.md`. It can also be stored in a
folder named after the method: `<method>/prompts/<step>.md`. Fingerprints and manifests contain the
hashes of the files. Users can replace a file with their own: with the `prompts` key of an
experiment, or the `own_prompts` key of a judge or gate. If a step uses another class's prompt,
declare this in `prompt_owners`, for example `{"agent": "convogen"}`. `load_prompt(name,
owner=MyClass)` loads other prompt files.

On a cluster, several processes play the tasks of a run. Tasks that share state in a method's `Play`
form a lineage, which a single process plays. `lineages` and `lineage` assign tasks to lineages; by
default, all tasks form one lineage. `lineages` returns None if the play keeps no state.

Do not let a model's mistake (`ModelFault`) end the run: record a failure, or a score of None with a
reason. Raise `RowError` for a row that a reader cannot read. Import heavy packages inside the
functions that need them, because commands that list plugins import all plugins.

>>> class Turns(Metric):
...     name, about, unit = "turns", "how many turns there are", "turns"
...     def __init__(self) -> None:
...         self.count = 0
...     def add(self, conversation: Conversation) -> None:
...         self.count += len(conversation.turns)
...     def value(self) -> float:
...         return self.count

`examples/plugin/` in convogen's repository contains one plugin of each kind.
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
    """Import a public name on first use, so that unused modules are not loaded."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'convogen.extend' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
