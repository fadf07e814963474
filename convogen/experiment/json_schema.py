"""The JSON Schema of experiment files."""

from __future__ import annotations

from typing import Any

from convogen.experiment.experiment import Common
from convogen.gates import gates_schema
from convogen.plugins import registry

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of experiment files for use in editors, with one alternative per
    method."""
    common = Common.model_json_schema()
    alternatives: list[dict[str, Any]] = []
    definitions: dict[str, Any] = common.pop("$defs", {})
    for name in registry.names("methods"):
        own: dict[str, Any] = registry.load("methods", name).model_json_schema()
        definitions |= own.pop("$defs", {})
        properties = {**common["properties"], "method": {"const": name}, **own["properties"]}
        properties["gates"] = {
            "type": "array",
            "items": gates_schema(definitions),
            "description": common["properties"]["gates"]["description"],
        }
        properties["models"] = {
            "anyOf": [{"type": "string"}, {"type": "object"}],
            "description": common["properties"]["models"]["description"],
        }
        needed = [] if name == Common.model_fields["method"].default else ["method"]
        alternative = {"type": "object", "properties": properties, "additionalProperties": False}
        alternatives.append(alternative | {"required": [*needed, *own.get("required", [])]})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "convogen experiment",
        "oneOf": alternatives,
        "$defs": definitions,
    }
