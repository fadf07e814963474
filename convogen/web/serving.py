"""Serving the web pages from the command line."""

from __future__ import annotations

import ipaddress
import socket
import webbrowser
from collections.abc import Callable
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from convogen.errors import UserError
from convogen.telemetry.log import warnings_on_screen
from convogen.web.access import Access, is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["base_address", "behind_https", "bind", "own_names", "serve", "web_modules"]


def web_modules() -> None:
    """Raise `UserError` if the packages for the web pages are not installed."""
    for module in ("starlette", "uvicorn"):
        _web(module)


def _web(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"the web pages need the package {module}; run: pip install 'convogen[web]'"
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; `port` 0 selects a free port.

    Raises:
        UserError: The server cannot listen at this address, for example because the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else str(error)
        other = "" if isinstance(error, socket.gaierror) else "; use --port 0 for a free port"
        raise UserError(f"--host {host} --port {port}: cannot listen ({why}){other}") from error
    return listener


def own_names(host: str, *, forwarded: bool = False) -> frozenset[str]:
    """Return the host names that a server on `host` accepts; an empty set accepts any name.

    A server that only this machine can reach accepts only the names of this machine. A server that
    other machines can reach, even through a proxy (`forwarded`), accepts any name.
    """
    if forwarded or not is_loopback(host):
        return frozenset()
    return frozenset({host, "localhost", "127.0.0.1", "::1"})


def base_address(listener: socket.socket) -> str:
    """Return the address at which browsers find a listener's pages."""
    host, port = listener.getsockname()[:2]
    everywhere = not is_loopback(host) and ipaddress.ip_address(host).is_unspecified
    shown: str = socket.gethostname() if everywhere else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def behind_https(app: ASGIApp) -> ASGIApp:
    """Wrap an application that visitors reach over HTTPS through a proxy.

    Browsers then send the application's cookies over HTTPS only.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "scheme": "https"} if scope["type"] == "http" else scope, receive, send)

    return wrapped


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    access: Access,
    say: Callable[[str], object],
    path: str = "",
    open_browser: bool = False,
) -> None:
    """Serve an application until it is interrupted; visitors' network addresses are not stored.

    Args:
        app: The application.
        listener: The listening socket, from `bind`.
        access: Access control for the pages; the printed address contains its token.
        say: Function that prints a line.
        path: Path of the page in the printed address, without a leading slash.
        open_browser: Whether to open the printed address in the user's browser.
    """
    uvicorn = _web("uvicorn")
    address = access.address(base_address(listener) + path)
    say(f"{address}  (Ctrl-C to stop)")
    if open_browser:
        Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    try:
        with warnings_on_screen():
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return
