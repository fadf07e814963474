"""Normalisation of base URLs that include an API route or an Azure deployment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from convogen.models.network import is_url

__all__ = ["AzurePlace", "azure_place", "checked_url", "has_version", "is_azure", "without_route"]

_AZURE_HOST = re.compile(
    r"\.(?:openai|cognitiveservices)\.azure\.(?:com|us|cn)$|\.services\.ai\.azure\.com$"
)
_DEPLOYMENT = re.compile(r"(?P<before>.*)/openai/deployments/(?P<name>[^/]+)(?:/.*)?")
_ROUTE = re.compile(r"/(?:chat/)?completions/?$")


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """An Azure resource, with the deployment and the API version if the URL contains them."""

    url: str
    deployment: str | None
    api_version: str | None


def checked_url(value: str) -> str:
    """Return an HTTP or HTTPS URL unchanged; raise `ValueError` for anything else."""
    if not is_url(value):
        raise ValueError("must be an HTTP or HTTPS URL, such as http://127.0.0.1:8000/v1")
    return value


def is_azure(url: str) -> bool:
    """Return whether a URL is the address of an Azure resource."""
    return _AZURE_HOST.search(urlsplit(url).hostname or "") is not None


def has_version(url: str) -> bool:
    """Return whether the path of a base URL contains an API version, such as `/v1`."""
    return re.search(r"/v\d", urlsplit(url).path) is not None


def without_route(url: str) -> str:
    """Return a base URL without a trailing API route such as `/chat/completions`."""
    parts = urlsplit(url)
    path = _ROUTE.sub("", parts.path)
    return url if path == parts.path else parts._replace(path=path).geturl()


def azure_place(url: str) -> AzurePlace | None:
    """Return the Azure resource or deployment that a base URL names; None if it names neither.

    A resource is `https://NAME.openai.azure.com`; a deployment is `…/openai/deployments/NAME` on
    any host. The result is None for a URL that ends in `/openai/v1`, because that API needs neither
    a version nor a deployment.
    """
    parts = urlsplit(url)
    match = _DEPLOYMENT.fullmatch(parts.path)
    if match is None and not (is_azure(url) and parts.path in ("", "/", "/openai", "/openai/")):
        return None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    version = query.pop("api-version", None)
    path = match["before"] if match else ""
    bare = parts._replace(path=path, query=urlencode(query), fragment="").geturl()
    return AzurePlace(bare, match and unquote(match["name"]), version or None)
