"""The version of convogen, which records and manifests name."""

from __future__ import annotations

__version__ = "0.2.0"
