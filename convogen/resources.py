"""Locations of the files that ship with convogen: in the wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent

EXPERIMENTS = PACKAGE / "experiment" / "shipped"
FOR_EMBEDDED = PACKAGE / "training" / "embedded"
"""The embedded model's training data and its results."""


def shipped(folder: str) -> Path:
    """Return the folder `experiences` or `personas`: inside the wheel, otherwise next to the
    package."""
    in_wheel = PACKAGE / "_data" / folder
    return in_wheel if in_wheel.is_dir() else PACKAGE.parent / folder
