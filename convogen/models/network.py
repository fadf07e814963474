"""How this machine reaches others: proxies, certificates, limits of connections and answers."""

from __future__ import annotations

import ssl
import urllib.request
from urllib.parse import urlsplit

from convogen.errors import ModelConfigError
from convogen.masking import public_url

__all__ = ["CONNECT_S", "MAX_ANSWER_BYTES", "MAX_CONNECTIONS", "proxy_for", "trusted"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are reached directly, whatever proxy the environment names."""

CONNECT_S = 20.0
"""Seconds to connect to a host; an answer may take the model's `timeout_s`."""

MAX_CONNECTIONS = 1000
MAX_ANSWER_BYTES = 64 << 20


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None for this machine.

    Raises:
        ModelConfigError: The proxy does not speak HTTP.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise ModelConfigError(
            f"{public_url(url)}: the environment names the proxy {public_url(proxy)}; only HTTP "
            "proxies are supported: change the variable, or put the host into NO_PROXY"
        )
    return proxy


def trusted() -> ssl.SSLContext:
    """Return a TLS context that trusts the certificates that the operating system trusts."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
