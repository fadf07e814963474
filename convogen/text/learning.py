"""Import of scikit-learn, an optional dependency."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convogen.errors import UserError

__all__ = ["learner"]


def learner(module: str, wanted: str) -> Any:
    """Import and return a scikit-learn module.

    Args:
        module: The module's name within `sklearn`.
        wanted: The feature that needs the module, named in the error message.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise UserError(
            f"{wanted} needs scikit-learn, which is not installed; run pip install "
            "'convogen[realism]'"
        ) from error
