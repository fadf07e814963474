"""Fingerprints: identifiers of experiments, judgements, training runs and branches, computed from
their inputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["fingerprint_of"]


def fingerprint_of(inputs: Any) -> str:
    """Return a hash of plain values as 16 hexadecimal digits; the order of keys does not matter."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
