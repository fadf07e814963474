"""The versions of convogen and of installed packages, which are recorded in manifests."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from functools import cache

__version__ = "0.2.0"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    versions = ((package, _version(package)) for package in packages)
    return {package: version for package, version in versions if version is not None}


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
