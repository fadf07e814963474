"""Packages in a folder, as pip installs them, and a command line that finds them."""

from __future__ import annotations

import os
from pathlib import Path

from command_line import Ended, convogen_process

__all__ = ["convogen_with", "install"]


def install(
    site: Path,
    distribution: str,
    entry_points: str,
    modules: dict[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Write a distribution's metadata, its entry points (as given), and its files."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", "utf-8"
    )
    (info / "entry_points.txt").write_text(entry_points, "utf-8")
    for name, text in (modules or {}).items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def convogen_with(site: Path, *args: object) -> Ended:
    """Run `convogen ARGS` in a process that finds the packages installed in a folder."""
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return convogen_process(*args, PYTHONPATH=path)
