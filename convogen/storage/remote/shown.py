"""How run folders that are on a store are called in texts: by their URLs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["show_as", "shown"]

_URLS: dict[str, str] = {}
"""Path of a local copy -> the URL that it is of."""


def show_as(folder: Path, url: str) -> None:
    """Have a local copy shown by its URL."""
    _URLS[str(folder)] = url


def shown(text: str) -> str:
    """Return a text with the URL of a run folder in place of the path of its local copy."""
    for path, url in _URLS.items():
        text = text.replace(path, url)
    return text
