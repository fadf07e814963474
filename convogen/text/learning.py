"""scikit-learn, which an extra installs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convogen.errors import UserError

__all__ = ["learner"]


def learner(module: str, wanted: str) -> Any:
    """Return a module of scikit-learn, imported when it is first needed.

    Args:
        module: Its name within `sklearn`.
        wanted: What needs it, for the error.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise UserError(f"{wanted}: pip install 'convogen[realism]' first") from error
