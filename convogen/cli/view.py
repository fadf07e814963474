"""`convogen view`: run folders in the browser, or on one page to send."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.terminal import say

__all__ = ["command"]


@click.command("view")
@click.argument(
    "folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port [default: a free one]."
)
@click.option("--no-browser", is_flag=True, help="Print the address alone.")
def command(folders: tuple[Path, ...], host: str, port: int, no_browser: bool) -> None:
    """Read RUN folders in the browser: search, filter, compare; what is behind each turn.

    Nothing is changed in them. What makes the search quick is in your cache, and can be deleted at
    any time. Only this machine reaches the pages unless --host says otherwise; then whoever opens
    them needs the token in the address that is printed.
    """
    from convogen.web.serving import bind, own_names, serve, web_modules

    web_modules()
    from convogen.web.access import Access
    from convogen.web.viewer.app import viewer
    from convogen.web.viewer.index import index_folder
    from convogen.web.viewer.opened import open_runs
    from convogen.web.viewer.watch import begin, watching

    runs = open_runs(folders, index_folder())
    begin(runs)
    access = Access.listening_at(host)
    listener = bind(host, port)
    with watching(runs):
        app = viewer(runs, access, own_names(host))
        serve(app, listener, access=access, say=say, open_browser=not no_browser)
