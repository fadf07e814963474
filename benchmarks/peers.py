"""The cost of a call without convogen: peers with which its processor time is compared.

Each peer only sends the given requests or plays the given chats. At most `concurrency` requests are
in flight.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from pydantic import BaseModel

from convogen.models.backends.completion_parsing import parsed, read_completion
from convogen.models.backends.dialect import Dialect
from convogen.models.backends.faults import Advice, Faults, Refusal
from convogen.models.backends.reported import read_error
from convogen.models.backends.transport import Transport
from convogen.models.base import ModelReply, Request
from convogen.models.spec import ModelSpec
from convogen.redaction import Secrets

__all__ = ["PEERS", "BareEndpoint", "autogen_alone"]

Body = Mapping[str, Any]


async def aiohttp_alone(base_url: str, bodies: Sequence[Body], concurrency: int) -> None:
    """Send JSON bodies with bare aiohttp and parse the responses."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(body: Body) -> None:
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                json.loads(await response.read())["choices"]

        await each_of(bodies, ask, concurrency)


async def openai_post(base_url: str, bodies: Sequence[Body], concurrency: int) -> None:
    """Call `post` of the `openai` client over its aiohttp transport, without typed objects."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    http = DefaultAioHttpClient()
    async with AsyncOpenAI(base_url=base_url, api_key="none", http_client=http) as client:
        await each_of(
            bodies,
            lambda body: client.post("/chat/completions", cast_to=object, body=body),
            concurrency,
        )


async def openai_create(base_url: str, bodies: Sequence[Body], concurrency: int) -> None:
    """Use the `openai` client as documented: `chat.completions.create`."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="none") as client:
        await each_of(bodies, lambda body: client.chat.completions.create(**body), concurrency)


async def each_of(
    bodies: Sequence[Body], ask: Callable[[Body], Awaitable[object]], concurrency: int
) -> None:
    """Call `ask` once for every body, `concurrency` at a time."""
    waiting = iter(bodies)

    async def worker() -> None:
        for body in waiting:
            await ask(body)

    await asyncio.gather(*(worker() for _ in range(concurrency)))


PEERS: dict[str, Callable[[str, Sequence[Body], int], Awaitable[None]]] = {
    "aiohttp": aiohttp_alone,
    "openai post": openai_post,
    "openai create": openai_create,
}


class BareEndpoint:
    """The endpoint backend that convogen had before the `openai` client, with aiohttp alone.

    Whole runs are measured with this backend, so that one table shows both versions.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._secrets, self._dialect = Secrets([]), Dialect()
        faults = Faults(f"{spec.base_url}", spec.timeout_s, self._secrets, Advice("", "", "", ""))
        headers = {"Authorization": "Bearer none", "Content-Type": "application/json"}
        url = f"{spec.base_url}/chat/completions"
        self._transport = Transport(url, headers, spec.timeout_s, faults)
        self._faults = faults

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request; if the endpoint refuses a parameter, retry without it."""
        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            status, headers, answer = await self._transport.post(body)
            if 200 <= status < 300:
                self._faults.answered = True
                return read_completion(parsed(answer, self._secrets), self._secrets)
            detail = read_error(answer, self._secrets)
            if not self._dialect.adapt(status, detail, body, mode):
                raise self._faults.refused(Refusal(status, headers, detail), request)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


async def autogen_alone(chats: int, people: int, turns: int) -> None:
    """Play `SelectorGroupChat`s whose agents and selector give fixed replies without a prompt."""

    async def play() -> None:
        names = [f"Person_{place}" for place in range(people)]
        team = SelectorGroupChat(
            [Parrot(name, description=f"{name}, 40. Works nights.") for name in names],
            model_client=Rotation(names),
            max_turns=turns,
            allow_repeated_speaker=True,
        )
        await team.run(task="We have met by chance. Who begins?")

    await asyncio.gather(*(play() for _ in range(chats)))


class Parrot(BaseChatAgent):
    """An agent that always gives the same reply."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        text = "The ferry was late again, and nobody could tell us why it had stopped."
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Do nothing: the agent has no state."""


class Rotation(ChatCompletionClient):
    """A selector model that names the agents in turn."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._at = names, 0

    async def create(self, messages: Sequence[LLMMessage], **more: Any) -> CreateResult:
        self._at = (self._at + 1) % len(self._names)
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        name = self._names[self._at]
        return CreateResult(finish_reason="stop", content=name, usage=usage, cached=False)

    def create_stream(self, *args: Any, **more: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Sequence[LLMMessage], **more: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **more: Any) -> int:
        return 1 << 20

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=False,
            structured_output=False,
            family="unknown",
        )
