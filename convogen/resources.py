"""Locations of the files shipped with convogen, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent

EXPERIMENTS = PACKAGE / "experiment" / "shipped"
FOR_EMBEDDED = PACKAGE / "training" / "embedded"
"""The folder of the embedded model's training data and results."""


def shipped(folder: str) -> Path:
    """Return the path of the folder `experiences` or `personas`, which is inside the wheel or, in a
    checkout, next to the package."""
    in_wheel = PACKAGE / "_data" / folder
    return in_wheel if in_wheel.is_dir() else PACKAGE.parent / folder
