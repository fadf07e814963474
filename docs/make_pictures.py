"""Take the screenshots for the documentation: `python docs/make_pictures.py [RUN]`.

Without RUN, the embedded model first plays a few conversations, which takes minutes. `convogen
view` serves the run, and Chromium takes the screenshots. The script needs `convogen[web,dev]`, and
Chromium on PATH.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1120, "height": 860}
MOST_BYTES = 200_000


@contextmanager
def served(run: str) -> Iterator[str]:
    """Serve a run with `convogen view`; yield the address."""
    command = [sys.executable, "-m", "convogen", "view", run, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield next(word for line in server.stdout for word in line.split() if "://" in word)
        finally:
            server.terminate()


def save(page: Page, name: str) -> None:
    """Write a screenshot of a page as a PNG with 256 colours."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = IMAGES / f"{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size < MOST_BYTES, f"{path} has {size} bytes"
    print(f"{path}: {size // 1000} kB")


def main() -> None:
    """Take the screenshots of a run."""
    with tempfile.TemporaryDirectory() as folder:
        run = sys.argv[1] if len(sys.argv) > 1 else f"{folder}/demo"
        if len(sys.argv) == 1:
            command = ["convogen", "demo", "--offline", "--n", "6", "--out", run]
            subprocess.run([sys.executable, "-m", *command], check=True)
        with served(run) as address, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = chromium.new_page(viewport=SIZE, color_scheme="light")
            page.goto(address)
            page.wait_for_load_state("networkidle")
            save(page, "viewer-list")
            page.locator("main a[href*='/conversation']").nth(1).click()
            page.wait_for_load_state("networkidle")
            page.locator("summary", has_text="tokens").first.click()  # the details of a turn
            save(page, "viewer")
            chromium.close()


if __name__ == "__main__":
    main()
