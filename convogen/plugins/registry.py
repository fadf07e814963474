"""The registry that maps names to classes, built in or from installed plugins.

A package adds a method with an entry point in the group `convogen.methods`, for example
`mymethod = "mypackage.mymodule:MyMethod"` in its pyproject.toml. Judges, gates, exporters, readers
and metrics are added in the same way. The base classes are in `convogen.extend`. Built-in readers
are tried first, in the order in which `BUILT_IN` lists them, followed by readers from plugins.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

from convogen.errors import ConvogenError, ExperimentError, PluginError
from convogen.plugins.discovery import Plugin, explain, find_plugins, import_class, load_plugin

__all__ = [
    "KINDS",
    "Kind",
    "blaming",
    "fault",
    "faults",
    "known",
    "load",
    "names",
    "packages",
    "plugins",
]

Kind = Literal["methods", "judges", "gates", "exporters", "readers", "metrics"]

KINDS: tuple[Kind, ...] = get_args(Kind)

BASES: dict[str, str] = {
    "methods": "convogen.methods.base:Method",
    "judges": "convogen.judges.base:Judge",
    "gates": "convogen.gates.base:Gate",
    "exporters": "convogen.exports.base:Exporter",
    "readers": "convogen.corpora.base:Reader",
    "metrics": "convogen.metrics.base:Metric",
}
"""The base class of each kind of plugin, as `module:class`."""

BUILT_IN: dict[str, dict[str, str]] = {
    "methods": {
        "convogen": "convogen.methods.convogen.method:ConvoGen",
        "augment": "convogen.methods.augment.method:Augment",
        "diasynth": "convogen.methods.diasynth.method:DiaSynth",
        "dialogueforge": "convogen.methods.dialogueforge.method:DialogueForge",
        "roleplay": "convogen.methods.roleplay.method:Roleplay",
    },
    "judges": {
        "geval": "convogen.judges.geval:GEval",
        "geval3": "convogen.judges.geval3:GEval3",
        "gptscore": "convogen.judges.gptscore:GPTScore",
        "fed": "convogen.judges.fed:Fed",
        "unieval": "convogen.judges.unieval:UniEval",
        "gteval": "convogen.judges.gteval:GTEval",
        "friction": "convogen.judges.friction:FrictionJudge",
    },
    "gates": {
        "near_duplicate": "convogen.gates.near_duplicate:NearDuplicate",
        "safety": "convogen.gates.safety:Safety",
        "guard": "convogen.gates.guard:Guard",
        "min_turns": "convogen.gates.min_turns:MinTurns",
        "judge": "convogen.gates.judge:JudgeGate",
        "rule": "convogen.gates.rule:Rule",
        "language": "convogen.gates.language:LanguageGate",
        "profile": "convogen.gates.profile:Profile",
    },
    "exporters": {
        "jsonl": "convogen.exports.plain:Jsonl",
        "parquet": "convogen.exports.plain:Parquet",
        "csv": "convogen.exports.plain:Csv",
        "sharegpt": "convogen.exports.chat:ShareGPT",
        "messages": "convogen.exports.chat:Messages",
        "dpo": "convogen.exports.preferences:DPO",
        "hf": "convogen.exports.plain:HuggingFace",
        "inspect": "convogen.exports.inspect_log:InspectLog",
        "argilla": "convogen.exports.argilla:ArgillaRecords",
        "label-studio": "convogen.exports.label_studio:LabelStudioTasks",
    },
    "readers": {
        "convogen": "convogen.corpora.chat:OwnRecords",
        "arena": "convogen.corpora.oasst:ArenaVotes",
        "oasst1": "convogen.corpora.oasst:Oasst1",
        "preferences": "convogen.corpora.training_rows:Preferences",
        "turns": "convogen.corpora.chat:Turns",
        "messages": "convogen.corpora.chat:Messages",
        "sharegpt": "convogen.corpora.chat:ShareGPT",
        "seeds": "convogen.corpora.oasst:SeedRows",
        "lmsys": "convogen.corpora.chat:Lmsys",
        "texts": "convogen.corpora.texts:TextLists",
        "personachat": "convogen.corpora.human:PersonaChat",
        "dailydialog": "convogen.corpora.human:DailyDialog",
        "multiwoz": "convogen.corpora.human:MultiWOZ",
        "empatheticdialogues": "convogen.corpora.utterances:EmpatheticDialogues",
        "meld": "convogen.corpora.utterances:Meld",
        "utterances": "convogen.corpora.utterances:Utterances",
        "dialogsum": "convogen.corpora.scripts:DialogSum",
        "samsum": "convogen.corpora.scripts:SAMSum",
        "synthetic_persona_chat": "convogen.corpora.scripts:SyntheticPersonaChat",
        "scripts": "convogen.corpora.scripts:Scripts",
        "instructions": "convogen.corpora.training_rows:Instructions",
        "nested": "convogen.corpora.nested:Nested",
        "plain": "convogen.corpora.texts:Plain",
        "numbered": "convogen.corpora.transcripts:Numbered",
        "parlai": "convogen.corpora.human:ParlAI",
        "whatsapp": "convogen.corpora.transcripts:WhatsApp",
        "script": "convogen.corpora.transcripts:Transcript",
    },
    "metrics": {},
}
"""The built-in classes for each kind and name. The measures of `convogen.metrics.Statistics` are
not included because they are computed together in one pass."""


def names(kind: Kind) -> list[str]:
    """Return the names of the classes of a kind, built-in names first; broken plugins are left out.

    This imports all plugins of the kind, so that every returned name can be loaded.
    """
    return [*BUILT_IN[kind], *(one.name for one in plugins(kind) if fault(one) is None)]


def known(kind: Kind, name: object) -> bool:
    """Return whether a name exists for a kind, even if its plugin is broken; imports nothing."""
    return name in BUILT_IN[kind] or any(plugin.name == name for plugin in plugins(kind))


def load(kind: Kind, name: str) -> type[Any]:
    """Return the class that is registered under a name.

    Raises:
        ExperimentError: The name is unknown. The message lists the known names.
        PluginError: The plugin is broken.
    """
    if name in BUILT_IN[kind]:
        return import_class(BUILT_IN[kind][name])
    for plugin in plugins(kind):
        if plugin.name == name:
            found = _loaded(plugin)
            if isinstance(found, PluginError):
                raise found
            return found
    raise ExperimentError(f"{kind[:-1]}: {name!r} is not known; allowed: {', '.join(names(kind))}")


def plugins(kind: Kind | None = None) -> list[Plugin]:
    """Return the installed plugins, usable or not; imports nothing."""
    return [plugin for plugin in find_plugins(BUILT_IN) if kind in (None, plugin.kind)]


def packages(used: Mapping[Kind, Iterable[str]]) -> dict[str, str]:
    """Return the version of each distribution whose plugins are used."""
    return {
        plugin.distribution: plugin.version
        for kind, names in used.items()
        for plugin in plugins(kind)
        if plugin.name in set(names) and not plugin.refused
    }


def fault(plugin: Plugin) -> str | None:
    """Import a plugin and return a line that says why it cannot be used, or None if it can."""
    found = _loaded(plugin)
    return str(found) if isinstance(found, PluginError) else None


def faults() -> list[str]:
    """Return a line for each plugin that cannot be used."""
    return [line for plugin in plugins() if (line := fault(plugin))]


@contextmanager
def blaming(kind: Kind, name: str) -> Generator[None]:
    """Turn errors in a plugin's code into a `PluginError` that names the plugin.

    Errors in built-in classes, convogen's own exceptions and `OSError` pass through unchanged.
    """
    try:
        yield
    except (ConvogenError, OSError):
        raise
    except Exception as error:
        plugin = next((one for one in plugins(kind) if one.name == name), None)
        if plugin is None or name in BUILT_IN[kind]:
            raise
        raise PluginError(plugin.line(explain(error))) from error


def _loaded(plugin: Plugin) -> type[Any] | PluginError:
    base = import_class(BASES[plugin.kind]) if plugin.kind in BASES else object
    return load_plugin(plugin, base)
