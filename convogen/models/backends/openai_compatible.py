"""Models at OpenAI-compatible chat endpoints, called through the `openai` client.

Responses are untrusted input and are parsed defensively.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convogen.models.addresses import has_version
from convogen.models.backends.account import Account
from convogen.models.backends.client import Client, KeyProvider, recorded
from convogen.models.backends.completion_parsing import parsed, read_completion
from convogen.models.backends.dialect import Dialect
from convogen.models.backends.faults import Advice, Faults, Refusal
from convogen.models.backends.likelihood import completions_body, read_completions
from convogen.models.backends.reported import is_page, read_error, reported_error
from convogen.models.base import ModelReply, Request, Transient
from convogen.models.spec import ModelSpec
from convogen.redaction import Secrets, public_url

__all__ = ["EndpointModel"]


class EndpointModel:
    """A model at an OpenAI-compatible endpoint.

    Args:
        spec: Name and address of the model, and the environment variable that holds the key.
        key_provider: Function that returns the key (on Azure the token) for each call. If given,
            the environment variable is not read.

    Raises:
        ModelConfigError: If a key, or anything else needed to reach the endpoint, is missing.
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
        self._versioned = spec.azure is not None or has_version(account.url)

    @property
    def dialect(self) -> Dialect:
        """The dialect inferred from the endpoint's refusals."""
        return self._dialect

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def complete(self, request: Request) -> ModelReply:
        """Answer one request. If the endpoint refuses a parameter, retry without it."""
        if request.continuations:
            return await self._likelihoods(request)
        while True:
            body, mode = self._dialect.body(request), self._dialect.json_mode
            answer = await self._post("/chat/completions", body)
            if not isinstance(answer, Refusal):
                reply = read_completion(answer, self._secrets, request.sampling.max_tokens)
                return replace(reply, left_out=self._dialect.left_out(request))
            if not self._dialect.adapt(answer.status, answer.detail, body, mode, request.role):
                raise self._faults.refused(answer, request)

    async def _likelihoods(self, request: Request) -> ModelReply:
        """Return the likelihoods of the continuations, read from the prompts that `/completions`
        echoes."""
        try:
            answer = await self._post("/completions", completions_body(request))
        except Transient as fault:
            if fault.kind != "unreadable":
                raise
            answer = str(fault)
        if isinstance(answer, Refusal):
            raise self._faults.refused(answer, request)
        return read_completions(answer, request.continuations)

    async def _post(self, path: str, body: Mapping[str, Any]) -> object | Refusal:
        """Post a body; return the JSON response, or a `Refusal` if the response reports an error,
        even with HTTP status 200."""
        status, headers, answer = await self._client.post(path, body)
        page = is_page(answer)
        if not 200 <= status < 300 or (page and not self._versioned):
            detail = read_error(answer, self._secrets)
            return Refusal(status if status >= 300 else 404, headers, detail, page)
        self._faults.answered = True
        data = parsed(answer, self._secrets)
        if (error := reported_error(data, self._secrets)) is not None:
            return Refusal(error.status, headers, error.detail)
        return data


def _advice(spec: ModelSpec, account: Account) -> Advice:
    valid = f"set {account.key_env} to a valid key and run again"
    places = (
        "base_url, azure.deployment and azure.api_version for model"
        if spec.azure
        else ("--base-url and --model")
    )
    missing = f"check {places} {spec.name}"
    if spec.azure is None and not has_version(account.url):
        url = public_url(account.url)
        missing = f"base URLs end in /v1; try --base-url {url}/v1, or {missing}"
    return Advice(
        unreached="check --base-url; see `convogen doctor`",
        refused=valid if account.key_env else "check the key provider",
        missing=missing,
        late=f"increase timeout_s for model {spec.name}",
    )
