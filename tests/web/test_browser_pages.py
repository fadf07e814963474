"""Pages that all applications share, as a browser displays them."""

from __future__ import annotations

from browser import PHONE, Browser, browser, serious_faults, serving

from convogen.web.app import application

__all__ = ["browser"]


def test_an_error_is_a_page_that_everybody_can_read(browser: Browser) -> None:
    with serving(application("convogen.web", [])) as address:
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(f"{address}/nowhere")
            assert page.inner_text("h1") == "404"
            assert page.get_by_role("link", name="Back to the start page").is_visible()
            assert serious_faults(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            context.close()
