"""The command `convogen view`: show run folders in a browser, or export them to one page."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import click

from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import OutPath
from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say
from convogen.errors import UserError

__all__ = ["command"]

PORT = 8765
"""The default port, which is fixed so that addresses of conversations can be bookmarked."""


@click.command("view")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@click.option("--host", help="Address to listen on [default: 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen on, or 0 for any free port [default: {PORT}, or a free port if {PORT} is "
    "in use].",
)
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
@click.option(
    "--export",
    "page",
    metavar="FILE.html",
    type=OutPath(dir_okay=False),
    help="Write up to 500 conversations to one self-contained HTML page and exit.",
)
@click.option(
    "--search",
    metavar="TEXT",
    help="With --export: export only conversations that contain these words.",
)
@click.option(
    "--conversation",
    "names",
    multiple=True,
    metavar="ID",
    help="With --export: export only this conversation; repeat the option for several.",
)
@click.option(
    "--n", type=WholeNumber(min=1), help="With --export: export only the first N conversations."
)
def command(
    folders: tuple[Path, ...],
    host: str | None,
    port: int | None,
    no_browser: bool,
    page: Path | None,
    search: str | None,
    names: tuple[str, ...],
    n: int | None,
) -> None:
    """Browse RUN folders: search, filter and compare conversations, and inspect each turn.

    The run folders are not changed. The search index is stored in your cache directory and can be
    deleted at any time. By default, the server listens only on this machine. If you set --host to
    an address that other machines can reach, visitors need the token in the printed address.

    \b
    Example:
      convogen view runs/a runs/b
    """
    from convogen.web.serving import web_modules

    web_modules()
    if page is not None and (host or port is not None or no_browser):
        raise click.UsageError("--host, --port and --no-browser cannot be used with --export")
    if page is not None and str(page) == "-":
        raise click.UsageError(
            "--export -: the page cannot be written to standard output; specify a file"
        )
    if page is None and (search or names or n):
        raise click.UsageError("--search, --conversation and --n require --export FILE.html")
    try:
        if page is not None:
            _export(folders, page, search or "", names, n)
        else:
            _serve(folders, host or "127.0.0.1", port, not no_browser)
    except sqlite3.Error as error:
        raise UserError(_no_index(error)) from error


def _no_index(error: sqlite3.Error) -> str:
    """Return a message that states the problem with the index and possible remedies."""
    from convogen.web.viewer.index import cache_folder

    return (
        f"the index in {cache_folder()} cannot be used: {error}; free disk space, delete the "
        "index, or set XDG_CACHE_HOME to another folder"
    )


def _export(
    folders: Sequence[Path], page: Path, search: str, names: Sequence[str], n: int | None
) -> None:
    from convogen.web.viewer.export import chosen, export_page
    from convogen.web.viewer.index import index_folder
    from convogen.web.viewer.opened import open_runs

    pages = chosen(open_runs(folders, index_folder()), search, names, n)
    export_page(page, pages)
    say(f"{page}: {len(pages)} conversations" if len(pages) > 1 else f"{page}: 1 conversation")


def _serve(folders: Sequence[Path], host: str, port: int | None, open_browser: bool) -> None:
    from convogen.web.access import Access
    from convogen.web.serving import bind, own_names, serve
    from convogen.web.viewer.app import viewer
    from convogen.web.viewer.index import index_folder
    from convogen.web.viewer.opened import open_runs
    from convogen.web.viewer.watch import begin, watching

    runs = open_runs(folders, index_folder())
    listener = _listener(host) if port is None else bind(host, port)
    begin(runs)
    access = Access.listening_at(host)
    with watching(runs):
        app = viewer(runs, access, own_names(host))
        serve(app, listener, access=access, say=say, open_browser=open_browser)


def _listener(host: str) -> socket.socket:
    """Return a socket bound to the default port, or to a free port if the default port is in
    use."""
    from convogen.errors import UserError
    from convogen.web.serving import bind

    try:
        return bind(host, PORT)
    except UserError:
        return bind(host, 0)
