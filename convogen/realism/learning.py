"""scikit-learn, which the extra `realism` brings."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convogen.errors import UserError

__all__ = ["learner"]


def learner(module: str) -> Any:
    """Return a module of scikit-learn, imported when it is first needed.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise UserError(
            "realism needs scikit-learn; install it with pip install 'convogen[realism]'"
        ) from error
