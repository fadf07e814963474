"""The address and credentials of a model's endpoint, from the model's spec and the environment.

The environment variables are those of the `openai` client. The client itself reads OPENAI_ORG_ID,
OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from convogen.errors import ModelConfigError
from convogen.models.addresses import checked_url, is_azure, without_route
from convogen.models.http import environment, fill, variables
from convogen.models.network import proxy_for
from convogen.models.spec import ModelSpec
from convogen.redaction import SECRET_NAME, public_url, url_secrets

__all__ = ["Account", "place_of"]

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "no-key-was-set"
"""Placeholder that is sent to the user's own endpoint if no key is set, because the header must not
be empty."""

AD_TOKEN = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 - the name of a variable
KEYS = ("OPENAI_API_KEY",)
AZURE_KEYS = (AD_TOKEN, "AZURE_OPENAI_API_KEY", *KEYS)
KEY_HEADERS = ("authorization", "api-key", "x-api-key")
"""Headers that contain a key. If the user sets one of them, no other key is needed."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Account:
    """The address and credentials of an endpoint.

    Attributes:
        url: URL without credentials or query.
        query: Query parameters of the URL.
        headers: Headers from the spec, and an Authorization header if the URL contains credentials.
        key: Value of the environment variable that `key_env` names, or a placeholder.
        api_version: Version of the Azure API; None for other endpoints.
    """

    url: str
    query: dict[str, str]
    headers: dict[str, str]
    key: str
    key_env: str
    proxy: str | None
    secrets: list[str]
    api_version: str | None = None
    deployment: str | None = None

    @property
    def has_ad_token(self) -> bool:
        """Whether the key is a Microsoft Entra ID token, which Azure accepts as a bearer token."""
        return self.key_env == AD_TOKEN

    @classmethod
    def of(cls, spec: ModelSpec, *, needs_key: bool = True) -> Account:
        """Return the account for a spec. If `needs_key` is false, `key` is a placeholder.

        Raises:
            ModelConfigError: If neither the spec nor the environment provides a required URL, API
                version or key.
        """
        whole = _url(spec)
        parts = urlsplit(whole)
        user, at_sign, host = parts.netloc.rpartition("@")
        basic = base64.b64encode(unquote(user).encode()).decode() if at_sign else ""
        bare = parts._replace(netloc=host, path=parts.path.rstrip("/"), query="", fragment="")
        own, needed = _headers(spec)
        keyed = [name for name in own if name.lower() in KEY_HEADERS]
        if keyed and spec.api_key_env is None:
            key, key_env = NO_KEY, ", ".join(variables([spec.headers[keyed[0]]]))
        else:
            key, key_env = _key(spec, whole) if needs_key else (NO_KEY, "")
        proxy = proxy_for(bare.geturl())
        secrets = [*url_secrets(whole), *url_secrets(proxy or ""), basic, *_custom_secrets()]
        secrets += needed
        return cls(
            url=bare.geturl(),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={**({"Authorization": f"Basic {basic}"} if at_sign else {}), **own},
            key=key,
            key_env=key_env,
            proxy=proxy,
            secrets=secrets if key == NO_KEY else [key, *secrets],
            api_version=_api_version(spec),
            deployment=_deployment(spec),
        )


def _url(spec: ModelSpec) -> str:
    if spec.base_url is not None:
        return spec.base_url
    variable = "AZURE_OPENAI_ENDPOINT" if spec.azure else "OPENAI_BASE_URL"
    url = os.environ.get(variable, "").strip() or ("" if spec.azure else OPENAI_URL)
    if not url:
        raise ModelConfigError(
            f"model {spec.name}: no Azure resource is given; set {variable} or base_url"
        )
    try:
        return without_route(checked_url(url))
    except ValueError as error:
        raise ModelConfigError(f"model {spec.name}: {variable} {error}") from None


def place_of(spec: ModelSpec) -> str | None:
    """Return the address of a model's endpoint without secrets; None if the address is unknown."""
    if spec.kind != "endpoint":
        return None
    try:
        return public_url(_url(spec)).rstrip("/")
    except ModelConfigError:
        return None


def _headers(spec: ModelSpec) -> tuple[dict[str, str], list[str]]:
    """Return the user's headers with variables filled in, and the secrets that they contain."""
    try:
        env = environment(variables(spec.headers.values()))
    except KeyError as error:
        raise ModelConfigError(
            f"model {spec.name}: set the environment variable {error.args[0]}, which the model's "
            "headers use"
        ) from None
    except ValueError as error:
        raise ModelConfigError(f"model {spec.name}: headers: {error}") from None
    headers = {name: str(fill(text, {"env": env})) for name, text in spec.headers.items()}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ModelConfigError(
                f"model {spec.name}: headers.{name} contains characters that HTTP does not allow; "
                "use printable ASCII characters only"
            )
    return headers, list(env.values())


def _api_version(spec: ModelSpec) -> str | None:
    if spec.azure is None:
        return None
    version = spec.azure.api_version or os.environ.get("OPENAI_API_VERSION", "").strip()
    if not version:
        raise ModelConfigError(
            f"model {spec.name}: no Azure API version is given; set OPENAI_API_VERSION or "
            f"azure.api_version, or append ?api-version=… (for example 2024-10-21) to --base-url"
        )
    return version


def _key(spec: ModelSpec, url: str) -> tuple[str, str]:
    """Return the key and the name of its environment variable. The key is `NO_KEY` if no key is
    set for the user's own endpoint."""
    names = AZURE_KEYS if spec.azure or is_azure(url) else KEYS
    if spec.api_key_env:
        names = (spec.api_key_env,)
    for variable in names:
        key = os.environ.get(variable, "").strip()
        if not key.isascii() or not key.isprintable():
            raise ModelConfigError(
                f"model {spec.name}: {variable} contains characters that cannot occur in a key; "
                f"copy the key again"
            )
        if key:
            return key, variable
    if spec.azure is None and spec.base_url is not None:
        return NO_KEY, names[0]
    preferred = "AZURE_OPENAI_API_KEY" if names == AZURE_KEYS else names[0]
    raise ModelConfigError(
        f"model {spec.name}: no API key is set; set {preferred}, use your own endpoint with "
        "--base-url, or omit --model to use the embedded model"
    )


def _deployment(spec: ModelSpec) -> str | None:
    if spec.azure is None:
        return None
    return spec.azure.deployment or quote(spec.name, safe="")


def _custom_secrets() -> list[str]:
    """Return the secrets in OPENAI_CUSTOM_HEADERS, which contains one `name: value` per line."""
    secrets: list[str] = []
    for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n"):
        name, _, value = line.partition(":")
        if value.strip() and (SECRET_NAME.search(name) or name.strip().lower() == "cookie"):
            secrets += [value.strip(), value.split()[-1]]  # with and without a leading "Bearer"
    return secrets
