"""Masking of keys and passwords in all text that convogen writes to files or to the screen.

Text from an endpoint is masked on arrival, so that no record, journal or error contains the
endpoint's secrets. Text for the screen, the log or a trace span is masked again, for all secrets
that this process knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

__all__ = ["Secrets", "masked", "public_url", "url_secrets", "without_secrets"]

MASK = "***"
SHORTEST = 8
"""Minimum length of secrets that are masked in all text; shorter secrets may be ordinary words."""

SHORTEST_QUOTED = 3
"""Minimum length of secrets that are masked in an endpoint's errors, where a match is rarely an
ordinary word."""

LONG_VALUE = 16
"""Minimum length at which a query value in a URL counts as a secret, whatever the parameter's
name."""

SECRET_NAME = re.compile(r"key|token|secret|sig|pass|auth|cred|code", re.IGNORECASE)
# Each pattern begins at a word boundary, so that long words are scanned only once.
URL = re.compile(r"(?<!\w)(\w+://)(?:[^/?#\s]*@)?([^\s?#]*)(?:[?#]\S*)?")
ANY_URL = re.compile(r"(?<!\w)(\w+://)(\S*@)?([^\s?#]*)([?#]\S*)?")
"""Also matches invalid URLs, since a password may contain characters that URLs do not allow."""

_SEGMENT = re.compile(r"(?<![^\s/])[^\s/]*@[^\s/]*")
_USER = re.compile(r"(?<![^@:='\"])[^@:='\"]+:(?=.)", re.DOTALL)
_PLACE = re.compile(r"@(?=[\w.\[])")

_known: set[str] = set()
"""All secrets known to this process."""


class Secrets:
    """The secrets of one endpoint, which the `masked` function then masks as well."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Add further secrets to mask, such as a renewed key."""
        self._whole.update(secrets)
        self._quoted = _forms(s for s in self._whole if len(s) >= SHORTEST_QUOTED)
        self._forms = _forms(s for s in self._whole if len(s) >= SHORTEST)
        _known.update(self._forms)

    def mask(self, text: str) -> str:
        """Return text, such as a reply, with the secrets masked."""
        return _replace(text, self._forms)

    def mask_error(self, text: str) -> str:
        """Return an endpoint's error message with the secrets masked, including short ones."""
        return _replace(text, self._quoted)


def masked(text: str) -> str:
    """Return text for the screen or a log, with known secrets and the credentials and queries of
    URLs masked."""
    text = ANY_URL.sub(_masked_url, text)
    text = _SEGMENT.sub(_masked_credentials, text)
    return _replace(text, sorted(_known, key=len, reverse=True))


def without_secrets(value: Any) -> Any:
    """Return parsed JSON with secrets masked in its strings.

    Before parsing, JSON escapes may have hidden these secrets from the masking.
    """
    if isinstance(value, str):
        return _replace(value, sorted(_known, key=len, reverse=True))
    if isinstance(value, list):
        return [without_secrets(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {without_secrets(key): without_secrets(item) for key, item in items}
    return value


def public_url(url: str) -> str:
    """Return a URL, or text that contains URLs, without user:password@, queries and fragments."""
    return URL.sub(r"\1\2", url)


def url_secrets(url: str) -> list[str]:
    """Return the secrets in a URL: the password (or the user if there is no password), and the
    secret values in the query."""
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    values = [
        value
        for name, value in parse_qsl(parts.query)
        if SECRET_NAME.search(name) or len(value) >= LONG_VALUE
    ]
    return [unquote(password) if password else unquote(user), *values]


def _masked_url(match: re.Match[str]) -> str:
    scheme, credentials, place, query = match.groups()
    before = f"{MASK}@" if credentials else ""
    return scheme + before + place + (f"{query[0]}{MASK}" if query else "")


def _masked_credentials(match: re.Match[str]) -> str:
    """Return a segment between spaces or slashes with `user:password@` masked."""
    part = match[0]
    places = [found.start() for found in _PLACE.finditer(part)]
    user = _USER.search(part, 0, places[-1]) if places else None
    return f"{part[: user.start()]}{MASK}{part[places[-1] :]}" if user else part


def _forms(secrets: Iterable[str]) -> list[str]:
    """Return the forms in which secrets occur in plain text, URLs and JSON, longest first."""
    found: set[str] = set()
    for secret in secrets:
        found |= {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}
        found.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    return sorted(found, key=lambda form: (-len(form), form))


def _replace(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
