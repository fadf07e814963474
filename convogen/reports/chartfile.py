"""Chart files: the kinds that can be drawn, and how a chart replaces an older one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convogen.errors import SourceError
from convogen.jsonl import refuse_foreign, replacing, writing

__all__ = ["check_kind", "save_chart"]

_KINDS = (".png", ".svg", ".pdf")


def check_kind(path: Path) -> None:
    """Raise `SourceError` if the file's ending is not that of a chart."""
    if path.suffix.lower() not in _KINDS:
        raise SourceError(f"{path}: cannot be drawn; allowed endings: {', '.join(_KINDS)}")


def save_chart(figure: Any, path: Path, made_by: str) -> None:
    """Write a matplotlib figure in the format that the file's ending names.

    `made_by` goes into its metadata: a file that has it is ours to replace. Raises `RunFolderError`
    if the file cannot be written or is somebody else's.
    """
    kind = path.suffix.lower()
    dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind, {})
    by = {"Software" if kind == ".png" else "Creator": made_by}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    refuse_foreign(path, lambda text: made_by in text)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=150, format=kind[1:], metadata={**dated, **by})
