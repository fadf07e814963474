"""Names -> the classes behind them, built in or from an installed package's entry points.

A package adds a method with an entry point in the group `convogen.methods`, for example
`mymethod = "mypackage.mymodule:MyMethod"` in its pyproject.toml; judges, gates, exporters and
readers likewise. Readers are tried in the order of this list, installed ones last.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from convogen.errors import ExperimentError

__all__ = ["load", "names"]

BUILT_IN: dict[str, dict[str, str]] = {
    "methods": {
        "convogen": "convogen.methods.convogen:ConvoGen",
        "augment": "convogen.methods.augment:Augment",
        "diasynth": "convogen.methods.diasynth:DiaSynth",
        "dialogueforge": "convogen.methods.dialogueforge:DialogueForge",
        "roleplay": "convogen.methods.roleplay:Roleplay",
    },
    "judges": {
        "geval": "convogen.judges.geval:GEval",
        "geval3": "convogen.judges.geval:GEval3",
        "gptscore": "convogen.judges.gptscore:GPTScore",
        "fed": "convogen.judges.fed:Fed",
        "unieval": "convogen.judges.unieval:UniEval",
        "gteval": "convogen.judges.gteval:GTEval",
    },
    "gates": {
        "near_duplicate": "convogen.gates.near_duplicate:NearDuplicate",
        "safety": "convogen.gates.safety:Safety",
        "guard": "convogen.gates.guard:Guard",
        "min_turns": "convogen.gates.min_turns:MinTurns",
        "judge": "convogen.gates.judge:JudgeGate",
        "rule": "convogen.gates.rule:Rule",
    },
    "exporters": {
        "jsonl": "convogen.exports.plain:Jsonl",
        "parquet": "convogen.exports.plain:Parquet",
        "csv": "convogen.exports.plain:Csv",
        "sharegpt": "convogen.exports.chat:ShareGPT",
        "messages": "convogen.exports.chat:Messages",
        "hf": "convogen.exports.plain:HuggingFace",
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
}


def names(kind: str) -> list[str]:
    """The registered names of a kind, built-in ones first."""
    return [*BUILT_IN[kind], *sorted(_installed(kind).keys() - BUILT_IN[kind].keys())]


def load(kind: str, name: str) -> Any:
    """The class registered under a name; raises `ExperimentError` naming those that exist."""
    target = BUILT_IN[kind].get(name)
    if target is not None:
        module, attribute = target.split(":")
        return getattr(import_module(module), attribute)
    installed = _installed(kind)
    if name in installed:
        return installed[name].load()
    raise ExperimentError(f"{kind[:-1]}: {name!r} is not known; allowed: {', '.join(names(kind))}")


def _installed(kind: str) -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=f"convogen.{kind}")}
