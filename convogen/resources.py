"""Where the files that ship with convogen are: in the wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent

EXPERIMENTS = PACKAGE / "experiment" / "shipped"
FOR_EMBEDDED = PACKAGE / "training" / "embedded"
"""What the embedded model was trained on, and what came of it."""


def shipped(folder: str) -> Path:
    """The folder `experiences` or `personas`: inside the wheel, else beside the package."""
    in_wheel = PACKAGE / "_data" / folder
    return in_wheel if in_wheel.is_dir() else PACKAGE.parent / folder
