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
        SourceError: the file is missing, or a key in it is wrong; names the key and what is
            allowed.
    """
    path = folder / DESIGN_FILE
    if not path.is_file():
        raise SourceError(
            f"{folder}: not a study: it has no {DESIGN_FILE}; `{suggested('study', 'new', folder)} "
            f"--kind …` creates one"
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
    parts = ["# A study with people. `convogen study serve` shows it.\n"]
    for name in order:
        said = fields[name].description
        comment = textwrap.fill(_sentence(said), 96, initial_indent="# ", subsequent_indent="# ")
        unset = name not in data and fields[name].get_default(call_default_factory=True) is None
        value = f"# {name}:\n" if unset else dump_yaml({name: data.get(name)}, blocks=True)
        parts.append(f"{comment}\n{value}" if said else value)
    return "\n".join(parts)


def _sentence(text: str | None) -> str:
    return text[0].upper() + text[1:] + "." * (not re.search(r"[.!?]\Z", text)) if text else ""
