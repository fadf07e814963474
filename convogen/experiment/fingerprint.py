"""Fingerprints, which identify data by its inputs: experiments, judgements, trainings, branches."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["fingerprint_of"]


def fingerprint_of(inputs: Any) -> str:
    """Return 16 hexadecimal digits of plain values; the order of keys makes no difference."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
