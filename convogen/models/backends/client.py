"""The `openai` client with a limit on the size of responses and protection against leaked secrets.

Responses are returned raw, because parsing them into the client's typed objects costs several times
as much as the call itself. The client makes one attempt per call; `traffic/router.py` retries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import httpx2
import openai
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient

from convogen.models.backends.account import Account
from convogen.models.backends.faults import Faults, too_long
from convogen.models.network import CONNECT_S, MAX_ANSWER_BYTES, most_connections, trusted
from convogen.redaction import Secrets, masked

__all__ = ["Client", "KeyProvider"]

KEEPALIVE_S = 15.0
"""Seconds for which an idle connection is kept open."""

UNSENT = dict.fromkeys(
    (
        f"X-Stainless-{of}"
        for of in ("Arch", "Async", "Lang", "OS", "Package-Version", "Runtime", "Runtime-Version")
    ),
    openai.omit,
)
"""Headers that describe this machine. They are not sent, because building them takes a tenth of a
call's CPU time."""

KeyProvider = Callable[[], Awaitable[str]]
"""A function that returns the key, or on Azure the token, for the next call."""


class Client:
    """A client that posts JSON to one endpoint through `AsyncOpenAI` or `AsyncAzureOpenAI`.

    Args:
        account: Address and credentials of the endpoint.
        timeout_s: Seconds within which the whole response must arrive.
        faults: Converter of errors into exceptions.
        provider: Function that returns the key for each call. If given, the account's key is not
            used.
    """

    def __init__(
        self, account: Account, timeout_s: float, faults: Faults, provider: KeyProvider | None
    ) -> None:
        self._timeout_s = timeout_s
        self._faults = faults
        self._client = _opened(account, timeout_s, provider)
        self._url = str(self._client.base_url).rstrip("/")
        logging.getLogger("httpx2").addFilter(_mask)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def post(
        self, path: str, body: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Post a body and return the status, headers and body of the response."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(
                    self._url + path, body=body, cast_to=httpx2.Response
                )
        except openai.APIStatusError as error:
            answer = error.response
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            raise self._faults.unreached(error) from error
        except ValueError as error:  # raised by aiohttp for a malformed response
            raise self._faults.unreadable(error) from error
        return answer.status_code, answer.headers, answer.content


def recorded(provider: KeyProvider, secrets: Secrets) -> KeyProvider:
    """Return a provider that adds each key to the secrets to mask."""

    async def provide() -> str:
        key = await provider()
        secrets.add([key])
        return key

    return provide


def _opened(account: Account, timeout_s: float, provider: KeyProvider | None) -> AsyncOpenAI:
    http = DefaultAioHttpClient(
        proxy=account.proxy,
        trust_env=False,
        verify=trusted(),
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=most_connections(), keepalive_expiry=KEEPALIVE_S),
        timeout=httpx2.Timeout(None, connect=min(CONNECT_S, timeout_s)),
        event_hooks={"response": [_bound]},
    )
    http.headers.clear()  # they duplicate the client's own, and merging them takes time
    common: dict[str, Any] = {
        "default_headers": {**UNSENT, **account.headers},
        "default_query": account.query,
        "max_retries": 0,
        "http_client": http,
    }
    if account.api_version is None:
        return AsyncOpenAI(base_url=account.url, api_key=provider or account.key, **common)
    if provider is not None:
        credential: dict[str, Any] = {"azure_ad_token_provider": provider}
    else:
        credential = {"azure_ad_token" if account.has_ad_token else "api_key": account.key}
    return AsyncAzureOpenAI(
        azure_endpoint=account.url,
        azure_deployment=account.deployment,
        api_version=account.api_version,
        **credential,
        **common,
    )


class _Bounded(httpx2.AsyncByteStream):
    """The body of a response. Iteration raises `Transient` if the body is too long."""

    def __init__(self, stream: httpx2.AsyncByteStream, chunks: AsyncIterable[bytes]) -> None:
        self._stream = stream
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_read = 0
        async for chunk in self._chunks:
            n_read += len(chunk)
            if n_read > MAX_ANSWER_BYTES:
                raise too_long(MAX_ANSWER_BYTES)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(answer: httpx2.Response) -> None:
    """Limit the size of a response, measured after decompression."""
    stream = answer.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    chunks: AsyncIterable[bytes] = stream
    if answer.headers.get("content-encoding"):
        packed = httpx2.Response(answer.status_code, headers=answer.headers, stream=stream)
        chunks = packed.aiter_bytes()
        del answer.headers["content-encoding"]
    answer.stream = _Bounded(stream, chunks)


def _mask(record: logging.LogRecord) -> bool:
    """Mask the URLs that the HTTP library logs, because they may contain keys."""
    record.msg, record.args = masked(record.getMessage()), None
    return True
