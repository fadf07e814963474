"""The entries of an experiment's `gates`: a name alone, or `gate: NAME` with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from convogen.errors import ExperimentError
from convogen.gates.base import Gate
from convogen.plugins import registry

__all__ = ["gate_class", "gates_schema", "parameters", "place_gate"]


def gate_class(entry: Mapping[str, Any]) -> type[Gate]:
    """Return the gate class for an entry.

    Raises `ExperimentError` if there is no such gate; the error lists the available gates.
    """
    if "gate" not in entry:
        alone = str(next(iter(entry), ""))
        name, key = "NAME", "KEY"
        if registry.known("gates", alone):
            name = alone
            fields = registry.load("gates", name).model_fields.items()
            key = next((field for field, info in fields if not info.exclude), key)
        raise ExperimentError(
            f"gates: the entry {dict(entry)!r} has no `gate` key; write the gate's name alone or, "
            f"to set parameters, `- {{gate: {name}, {key}: VALUE}}`; allowed names: "
            f"{', '.join(registry.names('gates'))}"
        )
    return registry.load("gates", str(entry.get("gate", "")))


def parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's parameters, without the gate's name."""
    return {key: value for key, value in entry.items() if key != "gate"}


def place_gate(entry: Any, folder: Path) -> Any:
    """Return an entry with its relative paths resolved against a folder.

    An entry of the wrong type is returned unchanged; the error is reported when the entry is read.
    """
    if not isinstance(entry, dict):
        return entry
    own = cast("dict[str, Any]", entry)
    if not registry.known("gates", own.get("gate")):
        return own
    gate = gate_class(own)
    paths = [
        key
        for key in gate.path_fields
        if isinstance(value := own.get(key), str) and gate.is_path(key, value)
    ]
    placed = own | {key: str(folder / own[key]) for key in paths}
    if isinstance(prompts := own.get("own_prompts"), dict):
        steps = cast("dict[str, Any]", prompts)
        placed["own_prompts"] = {
            step: str(folder / file) if isinstance(file, str) else file
            for step, file in steps.items()
        }
    return placed


def gates_schema(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema for an entry, and add the definitions that the schema uses to
    `definitions`."""
    alone: list[str] = []
    alternatives: list[dict[str, Any]] = []
    for name in registry.names("gates"):
        schema: dict[str, Any] = registry.load("gates", name).model_json_schema()
        definitions |= schema.pop("$defs", {})
        required: list[str] = schema.get("required", [])
        alone += [] if required else [name]
        alternatives.append(
            {
                "type": "object",
                "properties": {"gate": {"const": name}, **schema["properties"]},
                "required": ["gate", *required],
                "additionalProperties": False,
            }
        )
    return {"anyOf": [{"enum": alone}, *alternatives]}
