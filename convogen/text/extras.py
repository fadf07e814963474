"""Optional modules, imported only if they are installed and load."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["optional_module"]


@cache
def optional_module(name: str) -> Any | None:
    """Return a module; None if it is not installed, or fails to load on this machine."""
    try:
        return import_module(name)
    except ImportError:
        return None
