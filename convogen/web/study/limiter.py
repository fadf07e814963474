"""Rate limit for wrong codes.

A correct code is always accepted, so guessing locks nobody out, not even visitors at the same
address. The length of the codes keeps guessers out: at a thousand tries per second, it takes
hundreds of thousands of years to guess any one of fifty codes. Addresses are hashed with a salt
that is specific to this process, and are kept only in memory.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Limiter"]


class Limiter:
    """Counts wrong codes per address, with a token bucket.

    Args:
        tries: Number of wrong codes allowed in quick succession.
        every_s: Seconds after which one more wrong code is allowed.
        most: Maximum number of remembered addresses; if there are more, the one that has gone
            longest without a wrong code is dropped.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        tries: int = 10,
        every_s: float = 6.0,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tries, self._every_s, self._most, self._clock = tries, every_s, most, clock
        self._salt = secrets.token_bytes(16)
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    def refuses(self, address: str) -> bool:
        """Count a wrong code, and return whether there were too many from this address."""
        now, key = self._clock(), self._key(address)
        full_at = max(self._full_at.pop(key, now), now) + self._every_s
        refused = full_at > now + self._tries * self._every_s
        self._full_at[key] = min(full_at, now + self._tries * self._every_s)
        while len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return refused

    def _key(self, address: str) -> bytes:
        try:
            ip = ipaddress.ip_address(address)
            if ip.version == 6:  # one household has a whole /64 network
                address = f"{ipaddress.ip_network((ip, 64), strict=False)}"
        except ValueError:
            pass
        return hashlib.blake2b(address.encode(), key=self._salt, digest_size=8).digest()
