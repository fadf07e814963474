"""The version of convogen, which is written to manifests."""

from __future__ import annotations

__version__ = "0.2.0"
