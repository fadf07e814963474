"""The version of convogen, which is recorded in manifests."""

from __future__ import annotations

__version__ = "0.2.0"
