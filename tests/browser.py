"""Headless Chromium for tests of the web pages, driven by Playwright.

If Chromium is not installed, tests that use the fixture `browser` are skipped, with the reason. Its
headless shell is preferred, because a page costs half as much without a window and a profile.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["PHONE", "browser", "serious_faults", "serving"]

PHONE = {"width": 360, "height": 740}

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")

FAULTS = """
axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes[0].html}`))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a headless Chromium.

    Only one can be open at a time, because Playwright runs an event loop while it is open.
    """
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        pytest.skip("Chromium is not on PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port of this machine, and yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def serious_faults(page: Page) -> list[str]:
    """Return the problems on a page that axe-core rates as serious or critical."""
    page.evaluate(Axe().axe_script)
    return page.evaluate(FAULTS)
