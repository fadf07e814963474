"""Network settings: proxies, certificates, and limits on connections and responses."""

from __future__ import annotations

import os
import re
import socket
import ssl
import urllib.request
from contextlib import suppress
from urllib.parse import urlsplit

from convogen.errors import ModelConfigError
from convogen.redaction import public_url

__all__ = [
    "CONNECT_S",
    "MAX_ANSWER_BYTES",
    "is_url",
    "most_connections",
    "proxy_for",
    "trusted",
]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are always reached without a proxy."""

LONGEST_URL = 4000
LONGEST_HOST = 253
"""Maximum lengths of a URL and of a host name (RFC 1035), in characters."""

CONNECT_S = 20.0
"""Time limit in seconds for connecting to a host; the limit for a response is `timeout_s`."""

MOST_FILES = 1 << 16
OWN_FILES = 128
"""Number of open files reserved for purposes other than connections, for example for journals."""

MAX_ANSWER_BYTES = 64 << 20


def most_connections() -> int:
    """Return the maximum number of open connections, an upper bound for adaptive limits.

    The maximum is the process's limit on open files minus `OWN_FILES`. The limit on open files,
    usually 1024, is first raised as far as the system allows, up to `MOST_FILES`.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(OWN_FILES, min(soft, MOST_FILES) - OWN_FILES) if soft > 0 else MOST_FILES


def is_url(value: str) -> bool:
    """Return whether a string is an HTTP or HTTPS URL with a valid host and port."""
    if len(value) > LONGEST_URL or not re.match(r"https?://[^\s]+\Z", value, re.IGNORECASE):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    """Return whether a lower-case host is a valid name or address."""
    if ":" in host:
        return True  # an address that urlsplit has checked
    name = host.removesuffix(".")
    if not re.fullmatch(r"[\w.-]+", name) or len(name) > LONGEST_HOST:
        return False
    try:
        name.encode("idna")
        if name.rpartition(".")[2].isdecimal():
            socket.inet_aton(name)
    except (UnicodeError, OSError):
        return False
    return True


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment sets for a URL; None if no proxy is used.

    Raises:
        ModelConfigError: If the proxy is invalid or not an HTTP proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not is_url(proxy):
        known = (name for name in (f"{kind}_proxy", f"{kind}_proxy".upper()) if name in os.environ)
        raise ModelConfigError(
            f"{public_url(url)}: {next(known, 'the system')} names the proxy "
            f"{public_url(proxy)[:80]}, but only HTTP proxies are supported; set the proxy to a "
            "URL such as http://127.0.0.1:3128, or add the host to NO_PROXY"
        )
    return proxy


def trusted() -> ssl.SSLContext:
    """Return a TLS context that trusts the operating system's certificates."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
