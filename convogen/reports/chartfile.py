"""Chart files: supported formats, and replacement of charts that convogen wrote earlier."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.errors import SourceError
from convogen.jsonl import refuse_foreign, replacing, writing

__all__ = ["check_kind", "drawing", "save_chart"]

_KINDS = (".png", ".svg", ".pdf")


_STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "text.parse_math": False,
    "svg.hashsalt": "convogen",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
"""Matplotlib settings for every chart: plain axes, literal dollar signs, and the same bytes for the
same data."""


@contextmanager
def drawing(style: dict[str, object]) -> Generator[None]:
    """Apply the common settings and a chart's own settings in this context; suppress warnings."""
    matplotlib: Any = import_module("matplotlib")
    with matplotlib.rc_context({**_STYLE, **style}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_kind(path: Path) -> None:
    """Raise `SourceError` if the file extension is not a supported chart format."""
    if path.suffix.lower() not in _KINDS:
        raise SourceError(f"{path}: unsupported chart format; allowed: {', '.join(_KINDS)}")


def save_chart(figure: Any, path: Path, made_by: str) -> None:
    """Write a matplotlib figure in the format given by the file extension.

    `made_by` is stored in the metadata. An existing file is replaced only if it contains the same
    text. Raises `RunFolderError` if the file cannot be written, or if it exists and was not written
    by convogen.
    """
    kind = path.suffix.lower()
    dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind, {})
    by = {"Software" if kind == ".png" else "Creator": made_by}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    refuse_foreign(path, lambda text: made_by in text)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=150, format=kind[1:], metadata={**dated, **by})
