"""JSON over HTTP with aiohttp, for chatbots that have their own interface.

Responses are untrusted input, so their size is limited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from convogen.models.backends.faults import Faults, too_long
from convogen.models.network import (
    CONNECT_S,
    MAX_ANSWER_BYTES,
    most_connections,
    proxy_for,
    trusted,
)

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Transport"]


class Transport:
    """A client that posts JSON to a URL.

    Args:
        url: Default URL for requests, which also determines the proxy.
        headers: HTTP headers for every request.
        timeout_s: Seconds within which the whole response must arrive.
        faults: Converter of errors into exceptions.
        most_bytes: Maximum size of a response in bytes.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeout_s: float,
        faults: Faults,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._url = url
        self._headers = headers
        self._timeout_s = timeout_s
        self._faults = faults
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, body: object, url: str | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Post a body and return the status, headers and body of the response.

        `url` replaces the default URL and must be on the same host.
        """
        import aiohttp

        session = self._session = self._session or self._connected()
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            async with session.post(url or self._url, data=sent, allow_redirects=False) as response:
                answer = await _bounded(response.content, self._most_bytes)
                return response.status, response.headers, answer
        except (aiohttp.ClientError, OSError) as error:
            raise self._faults.unreached(error) from error
        except ValueError as error:  # raised by aiohttp for a malformed response
            raise self._faults.unreadable(error) from error

    def _connected(self) -> aiohttp.ClientSession:
        """Create the HTTP session."""
        import aiohttp

        timeout_s = self._timeout_s
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=most_connections(), ssl=trusted()),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s)),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy_for(self._url),
        )


async def _bounded(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """Read a whole response; raise `Transient` if it is too long."""
    read = bytearray()
    async for chunk in content.iter_any():
        read += chunk
        if len(read) > most_bytes:
            raise too_long(most_bytes)
    return bytes(read)
