"""The URLs that messages show instead of the paths of local copies."""

from __future__ import annotations

from pathlib import Path

__all__ = ["show_as", "shown"]

_URLS: dict[str, str] = {}
"""Maps the path of a local copy to its URL."""


def show_as(folder: Path, url: str) -> None:
    """Register the URL to show instead of the path of a local copy."""
    _URLS[str(folder)] = url


def shown(text: str) -> str:
    """Return a string with the paths of local copies replaced by their URLs."""
    for path, url in _URLS.items():
        text = text.replace(path, url)
    return text
