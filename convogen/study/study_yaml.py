"""Reading `study.yaml`, and writing it with a comment above every key."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from convogen.errors import SourceError
from convogen.inputs.validation import validated
from convogen.inputs.yaml12 import dump_yaml, read_mapping
from convogen.study.study_file import KINDS, CollectDesign, Design, PairsDesign, RatingsDesign
from convogen.suggested import suggested

__all__ = ["DESIGN_FILE", "commented", "load_design"]

DESIGN_FILE = "study.yaml"


def load_design(folder: Path) -> CollectDesign | PairsDesign | RatingsDesign:
    """Return the design of a study folder.

    Raises:
        SourceError: The file is missing, or a key is invalid; the message names the key and the
            allowed values.
    """
    path = folder / DESIGN_FILE
    if not path.is_file():
        raise SourceError(
            f"{folder}: not a study, since it has no {DESIGN_FILE}; create a study with "
            f"`{suggested('study', 'new', folder)} --kind …`"
        )
    data = read_mapping(path)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise SourceError(f"{path}: kind: must be one of {', '.join(KINDS)} (found {kind!r:.60})")
    return validated(KINDS[kind], data, str(path), raising=SourceError)


def commented(design: Design) -> str:
    """Return a design as YAML with a comment above every key."""
    data = design.model_dump(mode="json", exclude_none=True, exclude={"model"})
    if isinstance(design, CollectDesign):
        data["model"] = design.model.model_dump(mode="json", exclude_defaults=True)
    fields = type(design).model_fields
    order = ["kind", "title", *(name for name in fields if name not in {"kind", "title"})]
    parts = ["# A study with people. Start it with `convogen study serve`.\n"]
    for name in order:
        said = fields[name].description
        comment = textwrap.fill(_sentence(said), 96, initial_indent="# ", subsequent_indent="# ")
        unset = name not in data and fields[name].get_default(call_default_factory=True) is None
        value = f"# {name}:\n" if unset else dump_yaml({name: data.get(name)}, blocks=True)
        parts.append(f"{comment}\n{value}" if said else value)
    return "\n".join(parts)


def _sentence(text: str | None) -> str:
    return text[0].upper() + text[1:] + "." * (not re.search(r"[.!?]\Z", text)) if text else ""
