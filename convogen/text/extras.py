"""Import of optional modules."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["optional_module"]


@cache
def optional_module(name: str) -> Any | None:
    """Import a module; return None if it is not installed or cannot be loaded on this machine."""
    try:
        return import_module(name)
    except ImportError:
        return None
