"""The documentation site builds without warnings and needs no other hosts."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import Browser, browser
from documentation import ROOT, pages

__all__ = ["browser"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("material") is None,
        reason="the site needs mkdocs: pip install 'convogen[docs]'",
    ),
]
LOADED = re.compile(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    for command in (
        ["docs/generate.py"],
        ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_page_is_built(site: Path) -> None:
    for path in set(pages()) - {"README.md"}:
        assert (site / Path(path).relative_to("docs").with_suffix(".html")).is_file()


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        addresses = [a or b for a, b in LOADED.findall(page.read_text("utf-8"))]
        assert len(addresses) > 2
        assert [a for a in addresses if "//" in a] == [], page
    for styles in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", styles.read_text("utf-8"))


def test_the_index_for_language_models_names_pages_that_exist(site: Path) -> None:
    listed = re.findall(r"\]\(([^)]+)\): \S", (site / "llms.txt").read_text("utf-8"))
    assert len(listed) == len(pages()) - 1
    assert all((site / path).is_file() for path in listed)
    whole = (site / "llms-full.txt").read_text("utf-8")
    assert "class Persuasion(Judge)" in whole  # from a file that a page includes
    assert all(page.text.split("\n")[0] in whole for page in pages().values())


def test_the_search_index_has_the_text(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text("utf-8"))
    places = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {"how-to/gates.html", "reference/cli.html", "reference/python.html"} <= places


def test_search_works_from_the_disk(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.locator("input.md-search__input").click()
    page.keyboard.type("near_duplicate")
    page.locator(".md-search-result__item").first.wait_for()
    assert page.locator(".md-search-result__item").count() > 1
    assert all(url.startswith(("file:", "data:")) for url in asked)
    page.close()
