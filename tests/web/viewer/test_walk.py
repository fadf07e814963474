"""The viewer from a person's point of view, in a browser: mouse, keyboard, phone and dark mode.

The pages for sharing, and those that all applications share, are also here, because another file
would start another browser.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import PHONE, Browser, browser, serious_faults, serving
from command_line import convogen
from playwright.sync_api import Page, expect
from viewed_runs import HOSTILE, append, many_rows, opened_at, replayed_run, varied_run

from convogen.records import Conversation, Turn
from convogen.web.app import application
from convogen.web.viewer.app import viewer
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.watch import watching

__all__ = ["browser"]

UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Opened]:
    folder = tmp_path_factory.mktemp("walk")
    first, second = varied_run(folder / "first"), varied_run(folder / "second")
    append(first, "conversations", many_rows(7, 60))
    return opened_at(first, second)


@pytest.fixture(scope="module")
def address(runs: list[Opened]) -> Iterator[str]:
    with serving(viewer(runs)) as base:
        yield base


@contextmanager
def visitor(browser: Browser, **options: Any) -> Generator[Page]:
    """Yield a new visitor's page, during which no errors may be reported and no dialogs opened."""
    context = browser.new_context(**options)
    page = context.new_page()
    reports: list[str] = []
    page.on("console", lambda message: reports.append(message.text))
    page.on("pageerror", lambda error: reports.append(str(error)))
    page.on("dialog", lambda dialog: reports.append(f"dialog: {dialog.message}"))
    page.on("requestfailed", lambda request: reports.append(f"failed: {request.url}"))
    yield page
    assert reports == []
    context.close()


PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def ready(page: Page) -> None:
    """Wait until the page's script listens and the page is painted.

    The script shows the help button when it listens. Chromium drops keys that are pressed before
    the page is painted.
    """
    expect(page.get_by_role("button", name="Keyboard help")).to_be_visible()
    page.evaluate(PAINTED)


def press(page: Page, *keys: str) -> None:
    """Press keys when the page accepts them."""
    ready(page)
    for key in keys:
        page.keyboard.press(key)


def test_from_the_list_to_a_turn_and_back_by_keyboard(browser: Browser, address: str) -> None:
    with visitor(browser) as page:
        page.goto(f"{address}/?run=first")
        press(page, "/")
        page.keyboard.type("Arne bread OR bread")
        page.keyboard.press("Enter")
        expect(page.locator(".empty")).to_be_visible()  # OR is a word
        page.fill("#q", "Arne")
        press(page, "Enter")
        expect(page.locator(".list li")).to_have_count(2)
        assert page.url.endswith("/?run=first&q=Arne")
        press(page, "j", "j", "k")
        expect(page.locator(":focus")).to_have_text("sourdough")
        press(page, "Enter")
        expect(page.locator("h1")).to_have_text("sourdough")
        press(page, "j", "j", "Enter")
        expect(page.get_by_text("How may I help you?")).to_be_visible()
        press(page, "n")
        expect(page.locator("h1")).to_have_text("a long story")
        press(page, "u")
        expect(page.locator(".list li")).to_have_count(2)


def test_filters_pages_and_help(browser: Browser, address: str) -> None:
    with visitor(browser) as page:
        page.goto(f"{address}/?run=first")
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("Page 2 of 2")).to_be_visible()
        page.get_by_role("link", name="Rejected").click()
        expect(page.locator(".list li")).to_have_count(1)
        page.get_by_text("Filters and order").click()
        page.get_by_label("Speaker name contains").fill("nobody")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("No matches.")).to_be_visible()
        page.get_by_role("link", name="Clear").click()
        expect(page.locator(".list li")).not_to_have_count(0)
        page.get_by_text("Filters and order").click()
        page.get_by_label("Turn check").select_option(label="assistant offer (1)")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator(".title")).to_have_text("sourdough")
        page.locator("main").focus()
        press(page, "?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("Use single-key shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.locator("main").focus()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_persona_card_opens_by_mouse_by_keyboard_and_by_touch(
    browser: Browser, address: str
) -> None:
    conversation = f"{address}/conversation?run=first&id=c-0"
    with visitor(browser) as page:
        page.goto(conversation)
        card = page.locator(".card").first
        ready(page)
        page.locator(".person").first.hover()
        expect(card).to_be_visible()
        expect(card).to_contain_text("her father's mill")
        page.mouse.move(0, 0)
        expect(card).to_be_hidden()
        page.locator(".person").first.press("Enter")
        expect(card).to_be_visible()
        page.keyboard.press("Escape")
        expect(card).to_be_hidden()
    with visitor(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto(conversation)
        page.evaluate(PAINTED)
        page.locator(".person").first.tap()
        expect(page.locator(".card").first).to_be_visible()


def test_without_scripts_everything_can_be_read(browser: Browser, address: str) -> None:
    with visitor(browser, java_script_enabled=False) as page:
        page.goto(f"{address}/?run=first&q=sourdough")
        page.locator(".title").click()
        page.locator(".behind summary").nth(1).click()
        expect(page.get_by_text("How may I help you?")).to_be_visible()
        page.locator(".person").first.click()
        expect(page.locator(".card").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everybody(browser: Browser, address: str, scheme: str) -> None:
    with visitor(browser, viewport=PHONE, color_scheme=scheme) as page:
        for path in ("/?run=first&q=bread&topic=long", _conversation("c-0")):
            page.goto(address + path)
            page.evaluate(UNFOLD)
            assert serious_faults(page) == [], path


def test_pages_fit_a_phone(browser: Browser, address: str) -> None:
    with visitor(browser, viewport=PHONE) as page:
        for path in ("/", "/?run=first", *map(_conversation, ("c-0", "c-1", "c-2", "c-5", "f-6"))):
            page.goto(address + path)
            page.evaluate(UNFOLD)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


@pytest.mark.parametrize("width", [640, 720, 1200])
def test_long_lines_of_code_fit_any_width(browser: Browser, tmp_path: Path, width: int) -> None:
    run = varied_run(tmp_path / "code")
    code = Conversation(id="c-9", task=9, turns=[Turn(speaker="Ann", text="```\n" + "x " * 900)])
    append(run, "conversations", [code])
    with serving(viewer(opened_at(run))) as base:
        page = browser.new_page(viewport={"width": width, "height": 500})
        page.goto(f"{base}/conversation?id=c-9")
        assert page.locator("pre").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def _conversation(name: str) -> str:
    return f"/conversation?run=first&id={name}"


def test_hostile_text_is_shown_and_runs_nothing(browser: Browser, address: str) -> None:
    with visitor(browser) as page:
        for path in ("/?run=first&q=onerror", *map(_conversation, ("c-1", "c-5", "f-6", "c-0"))):
            page.goto(address + path)
            assert page.title() != "run"
            assert page.locator("main img, main script, main style").count() == 0
        page.goto(address + _conversation("c-1"))
        expect(page.locator(".turn .said").first).to_have_text(HOSTILE)
        expect(page.locator(".turn .said").nth(2)).to_contain_text("&lt;script&gt;")
        direction = "getComputedStyle(document.querySelectorAll('.turn .said')[1]).direction"
        assert page.evaluate(direction) == "rtl"


def test_what_a_run_adds_is_offered(browser: Browser, tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "going", complete=False)
    (opened,) = opened_at(folder)
    with watching([opened]), serving(viewer([opened])) as base, visitor(browser) as page:
        page.goto(base)
        append(folder, "conversations", many_rows(7, 3))
        page.get_by_role("link", name="3 more: show").click()
        expect(page.locator(".list li")).to_have_count(10)


def test_pages_of_two_runs_fit_a_phone_and_everybody(browser: Browser, tmp_path: Path) -> None:
    runs = opened_at(varied_run(tmp_path / "first"), replayed_run(tmp_path / "again"))
    pair = "/pair?run=first&id=c-0&with=again&other=c-again"
    with serving(viewer(runs)) as base:
        page = browser.new_page(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
        for path in (
            "/compare",
            pair,
            "/judges?run=first",
            "/lineage?run=first",
            "/plots?run=first",
        ):
            page.goto(base + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
            if path in (pair, "/lineage?run=first"):
                assert serious_faults(page) == [], path
        page.close()


def test_an_exported_page_is_read_without_network(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exported = tmp_path / "page.html"
    convogen("view", varied_run(tmp_path / "varied"), "--export", exported)
    with visitor(browser, viewport=PHONE, offline=True) as page:
        page.goto(exported.as_uri())
        page.fill("#q", "sourdough")
        assert page.locator("details.one:visible").count() == 1
        assert "1 of 5" in page.inner_text("[data-left]")
        page.locator(".person:visible").first.click()
        assert page.locator(".card").first.is_visible()
        page.keyboard.press("Escape")
        page.locator(".behind summary:visible").nth(1).click()
        assert page.get_by_text("How may I help you?").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert serious_faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_error_is_a_page_that_everybody_can_read(browser: Browser, scheme: str) -> None:
    with serving(application("convogen.web", [])) as base:
        page = browser.new_page(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"{base}/nowhere")
        assert page.inner_text("h1") == "404"
        assert page.get_by_role("link", name="Back to the start page").is_visible()
        assert serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.close()
