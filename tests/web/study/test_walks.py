"""Each kind of study from a participant's point of view: on a phone, in dark mode, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import PHONE, Browser, browser, serious_faults, serving
from playwright.sync_api import Page
from studies import HOSTILE, made, pairs_data, ratings_data, scripted

from convogen.study.store import Store
from convogen.web.access import Access
from convogen.web.study.app import study_app

__all__ = ["browser"]


class Participant:
    """A participant's page, with checks that every visited page must pass."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        page.on("dialog", lambda dialog: pytest.fail(f"a script opened a dialog: {dialog.message}"))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose(self, question: str, answer: str) -> None:
        group = self.page.get_by_role("group", name=question)
        group.get_by_label(answer, exact=True).check()

    def look(self) -> None:
        """Fail if the page is wider than the phone or hard to read."""
        self.page.wait_for_load_state()
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], self.page.url
        assert serious_faults(self.page) == []

    def enter(self, code: str) -> None:
        self.page.goto(self.address)
        self.look()
        self.page.get_by_label("Your code").fill(code.lower())
        self.press("Continue")
        self.look()
        self.page.get_by_label("I have read this").check()
        self.press("Take part")


@contextmanager
def walking(browser: Browser, folder: Path, scheme: str, **options: Any) -> Iterator[Participant]:
    with serving(study_app(folder, Access(), **options)) as address:
        context = browser.new_context(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        try:
            yield Participant(context.new_page(), address)
        finally:
            context.close()


def test_a_chat(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    goals = [{"name": name, "goal": f"{HOSTILE}\n```\ncode\n```"} for name in "ab"]
    codes = made(folder, "collect", {"goals": goals, "title": HOSTILE[:60]})
    with walking(browser, folder, "dark", open_model=scripted(lambda _: HOSTILE)) as walk:
        walk.enter(codes["p01"])
        walk.look()
        for question, answer in (
            ("Age range", "25 to 34"),
            ("Race", "Prefer not to say"),
            ("Gender", "Female"),
            ("Education", "High school"),
            ("Is English your native language?", "No"),
        ):
            walk.choose(question, answer)
        walk.press("Continue")
        walk.choose("How much experience", "None")
        walk.press("Continue")
        page = walk.page
        walk.look()
        assert page.get_by_role("button", name="Next Goal").is_disabled()
        field = page.get_by_label("Write a message to the chatbot")
        field.fill(HOSTILE)
        field.press("Enter")
        page.locator(".reply").wait_for()
        walk.look()
        assert "<script>alert(1)</script>" in page.locator(".prompt").inner_text()
        assert "<img src=x" in page.locator(".reply").inner_text()
        assert page.locator("main img, main script").count() == 0
        page.reload()
        assert page.locator(".bubble").count() == 2
        walk.press("Next Goal")
        page.get_by_text("Tasks complete 1/2").wait_for()
        page.go_back()
        assert page.get_by_text("Tasks complete 1/2").is_visible()
        assert page.locator(".bubble").count() == 0
        page.goto(f"{walk.address}/progress")
        walk.look()


def test_pairs(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "pairs", {"pairs_each": 2}, **pairs_data(tmp_path, text=HOSTILE))
    with walking(browser, folder, "dark") as walk:
        walk.enter(codes["r01"])
        walk.choose("How much experience", "None")
        walk.press("Continue")
        walk.look()
        walk.press("Start the Survey")
        page = walk.page
        walk.look()
        first, second = page.locator(".pair section").all()
        above, below = first.bounding_box(), second.bounding_box()
        assert above
        assert below
        # stacked on a phone
        assert above["y"] + above["height"] <= below["y"]
        walk.choose("Which dialogue is artificial?", "1st")
        walk.press("Next Dialogue")  # the browser itself asks for missing answers
        assert page.get_by_text("Dialogue complete 0/2").is_visible()
        walk.choose("How confident", "Confident")
        walk.choose("Which utterance", "1")
        walk.press("Next Dialogue")
        page.get_by_text("Dialogue complete 1/2").wait_for()
        page.go_back()
        page.get_by_text("Dialogue complete 1/2").wait_for()
        assert page.locator("input:checked").count() == 0  # the restored page has no choices
        page.reload()
        walk.choose("Which dialogue is artificial?", "Not sure")
        walk.choose("How confident", "Somewhat confident")
        walk.press("Next Dialogue")
        page.get_by_role("heading", name="Thank you").wait_for()
        walk.look()
    answers = Store(folder / "study.db").answers("r01")
    assert answers["item:0"].body == {"choice": "left", "confidence": "confident", "utterance": 1}
    assert answers["item:1"].body["utterance"] is None
    assert answers["item:0"].seconds > 0


def test_ratings_without_javascript(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    scales = [
        {"id": "a", "question": "Kind?", "points": 3, "labels": ["no", "so-so", "yes"]},
        {"id": "b", "question": "Clear?", "points": 7, "labels": ["no", "yes"]},
        {"id": "c", "question": "Long?", "points": 11},
    ]
    keys = {"dialogues_each": 1, "scales": scales, "attention_checks": 1}
    codes = made(folder, "ratings", keys, **ratings_data(tmp_path, text=HOSTILE))
    with serving(study_app(folder, Access())) as address:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport=PHONE,
                color_scheme=scheme,  # type: ignore[arg-type]
                java_script_enabled=False,
            )
            walk = Participant(context.new_page(), address)
            walk.look = lambda: None  # axe is a script
            walk.enter(codes["r01" if scheme == "light" else "r02"])
            walk.choose("How much experience", "None")
            walk.press("Continue")
            walk.press("Start the Survey")
            for done in range(2):
                walk.page.get_by_text(f"Dialogue complete {done}/2").wait_for()
                for question, answer in (("Kind?", "2 so-so"), ("Clear?", "1 no"), ("Long?", "11")):
                    walk.choose(question, answer)
                walk.page.get_by_label("anything you would like to add").fill(HOSTILE)
                walk.press("Next Dialogue")
            walk.page.get_by_role("heading", name="Thank you").wait_for()
            context.close()
    store = Store(folder / "study.db")
    assert store.answers("r01")["item:1"].body["ratings"] == {"a": 2, "b": 1, "c": 11}
    with walking(browser, folder, "dark") as walk:  # and check the display of the scales
        walk.page.goto(f"{walk.address}/progress")
        walk.look()


def test_scales_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    scales = [
        {"id": f"s{points}", "question": f"{points}?", "points": points, "labels": ["no", "yes"]}
        for points in (2, 5, 7, 11)
    ]
    codes = made(
        folder, "ratings", {"dialogues_each": 1, "scales": scales}, **ratings_data(tmp_path)
    )
    with walking(browser, folder, "light") as walk:
        walk.enter(codes["r01"])
        walk.choose("How much experience", "None")
        walk.press("Continue")
        walk.press("Start the Survey")
        walk.look()
        boxes = [one.bounding_box() for one in walk.page.locator(".point").all()]
        assert all(box and box["width"] >= 24 and box["height"] >= 24 for box in boxes)
