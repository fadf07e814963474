"""The command `convogen study serve`: serve a study to its participants."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.terminal import say

__all__ = ["command"]


@click.command("serve")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=WholeNumber(0, 65_535),
    default=8717,
    show_default=True,
    help="Port to listen on, or 0 for any free port.",
)
@click.option(
    "--https",
    is_flag=True,
    help="Mark cookies as secure, for participants who connect through an HTTPS proxy.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the progress page in a browser.")
def command(folder: Path, host: str, port: int, https: bool, open_browser: bool) -> None:
    """Serve the study in FOLDER to its participants until you press Ctrl-C.

    Each participant logs in with a code. Every answer is saved to disk before it is acknowledged.
    /progress is the researcher's page. If other machines can reach the server, the page requires
    the token in the printed address.

    For participants on other networks, put an HTTPS proxy such as Caddy or nginx in front of the
    server and add --https; /progress then requires the token too. The proxy must forward the
    original Host header (nginx: proxy_set_header Host $host).
    """
    import asyncio

    from convogen.storage.task_log import lock
    from convogen.study.chatbot import check_model
    from convogen.study.study_file import CollectDesign
    from convogen.study.study_yaml import load_design
    from convogen.web.access import Access
    from convogen.web.serving import (
        base_address,
        behind_https,
        bind,
        own_names,
        serve,
        web_modules,
    )

    web_modules()
    from convogen.web.study.app import study_app

    design = load_design(folder)  # before a lock file is created in the folder
    if isinstance(design, CollectDesign):
        asyncio.run(check_model(design.model))
    listener = bind(host, port)
    try:
        held = lock(folder)
        try:
            access = Access.listening_at(host, forwarded=https)
            app = study_app(folder, access, hosts=own_names(host, forwarded=https))
            say(f"participants: {base_address(listener)}")
            serve(
                behind_https(app) if https else app,
                listener,
                access=access,
                say=lambda line: say(f"progress:     {line}"),
                path="progress",
                open_browser=open_browser,
            )
        finally:
            held.release()
    finally:
        listener.close()
