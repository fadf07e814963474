"""Any OpenAI-compatible chat endpoint, through the `openai` client.

Replies are read here, defensively: an endpoint's answer is foreign input.
"""

from __future__ import annotations

from dataclasses import replace

from convogen.masking import Secrets, public_url
from convogen.models.account import Account
from convogen.models.base import Reply, Request
from convogen.models.client import Client, KeyProvider, recorded
from convogen.models.completions import read_completion, read_error
from convogen.models.dialect import Dialect
from convogen.models.faults import Advice, Faults
from convogen.models.likelihood import completions_body, read_completions
from convogen.models.spec import ModelSpec

__all__ = ["EndpointModel"]


class EndpointModel:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        spec: What it is called, where it is, and which variable holds the key.
        key_provider: Called for the key (on Azure the token) of each call, instead.

    Raises:
        ModelConfigError: A key, or what else is needed to reach it, is missing.
    """

    def __init__(self, spec: ModelSpec, key_provider: KeyProvider | None = None) -> None:
        account = Account.of(spec, needs_key=key_provider is None)
        self._secrets = Secrets(account.secrets)
        if key_provider is not None:
            key_provider = recorded(key_provider, self._secrets)
        self._faults = Faults(
            public_url(account.url), spec.timeout_s, self._secrets, _advice(spec, account)
        )
        self._client = Client(account, spec.timeout_s, self._faults, key_provider)
        self._dialect = Dialect(spec.json_mode)

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was found to understand."""
        return self._dialect

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Answer one request; if the endpoint refuses a parameter, ask again without it."""
        if request.continuations:
            return await self._likelihoods(request)
        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            status, headers, answer = await self._client.post("/chat/completions", body)
            if 200 <= status < 300:
                self._faults.answered = True
                reply = read_completion(answer, self._secrets)
                return replace(reply, left_out=self._dialect.left_out(request))
            detail = read_error(answer, self._secrets)
            if not self._dialect.adapt(status, detail, body, mode, request.role):
                raise self._faults.refused(status, headers, detail)

    async def _likelihoods(self, request: Request) -> Reply:
        """How likely the request's continuations are, by the echo of `/completions`."""
        body = completions_body(request)
        status, headers, answer = await self._client.post("/completions", body)
        if 200 <= status < 300:
            self._faults.answered = True
            return read_completions(answer, request.continuations)
        raise self._faults.refused(status, headers, read_error(answer, self._secrets))


def _advice(spec: ModelSpec, account: Account) -> Advice:
    valid = f"set {account.key_env} to a valid key, run again"
    places = (
        "base_url, azure.deployment and azure.api_version of"
        if spec.azure
        else ("--base-url and --model")
    )
    return Advice(
        unreached="check --base-url, `convogen doctor` tells more",
        refused=valid if account.key_env else "check the key provider",
        missing=f"check {places} {spec.name}",
    )
