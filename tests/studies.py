"""Studies with people, small enough for tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ChatModel, Request
from convogen.models.spec import ModelSpec
from convogen.records import Conversation, Turn
from convogen.study.making import new_study
from convogen.study.study_file import KINDS, Design
from convogen.web.access import Access
from convogen.web.study.app import study_app

__all__ = [
    "HOSTILE",
    "Visitor",
    "dialogue",
    "made",
    "pairs_data",
    "ratings_data",
    "scripted",
    "visiting",
]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> ${7*7} {{ 7*7 }} \x1b[31m\u202e"
"""A text that has an effect wherever it is not displayed literally."""

GOALS = (
    {"name": "cats", "goal": "Find out why cats purr."},
    {"name": "sum", "goal": "Add it up:\n```\n1 + 2\n```"},
)


def dialogue(
    name: str, exchanges: int, *, person: str = "", goal: str = "", text: str = "Why?"
) -> Conversation:
    """Return a dialogue between a chatbot and a person, or somebody who plays a person."""
    turns = [
        Turn(
            speaker=speaker,
            text=f"{said} ({name}, {at})",
            model="bot" if speaker == "assistant" else None,
        )
        for at in range(exchanges)
        for speaker, said in (
            ("user", text),
            ("assistant", "Because of **that**.\n\n```py\nx = 1\n```"),
        )
    ]
    return Conversation(
        id=name, context={"persona_id": person, "goal": goal, "topic": goal}, turns=turns
    )


def _write(path: Path, dialogues: list[Conversation]) -> str:
    path.write_bytes(b"".join(one.to_line() for one in dialogues))
    return str(path)


def pairs_data(
    folder: Path, *, people: int = 3, goals: int = 2, text: str = "Why?"
) -> dict[str, Any]:
    """Write natural dialogues, and simulated dialogues of two conditions, as `new_study` expects
    them."""
    cells = [(f"p{person:02}", f"goal {goal}") for person in range(people) for goal in range(goals)]
    natural = [
        dialogue(f"n-{at}", 1 + at % 3, person=person, goal=goal, text=text)
        for at, (person, goal) in enumerate(cells)
    ]
    simulated: list[str] = []
    for condition in ("vicuna", "gpt4"):
        own = [
            dialogue(f"{condition}-{at}", 2, person=person, goal=goal, text=text)
            for at, (person, goal) in enumerate(cells)
        ]
        path = _write(folder / f"{condition}.jsonl", own)
        simulated.append(f"{condition}={path}")
    return {"natural": [_write(folder / "natural.jsonl", natural)], "simulated": simulated}


def ratings_data(folder: Path, n: int = 4, text: str = "Why?") -> dict[str, Any]:
    """Write dialogues for ratings, as `new_study` expects them."""
    dialogues = [dialogue(f"d-{at}", 2, text=text) for at in range(n)]
    return {"dialogues": [_write(folder / "dialogues.jsonl", dialogues)]}


def made(
    folder: Path, kind: str, keys: Mapping[str, Any] | None = None, **data: Any
) -> dict[str, str]:
    """Make a study and return its codes by participant."""
    given = {
        "participants": 2,
        **({"goals": GOALS, "model": "scripted"} if kind == "collect" else {}),
    }
    design: Design = KINDS[kind].model_validate({**given, **(keys or {})})
    return dict(new_study(folder, design, **data).codes)


def scripted(script: Callable[[Request], Any]) -> Callable[[ModelSpec], ChatModel]:
    """Return a function that opens a model with scripted answers."""
    model = ScriptedModel(script)
    return lambda _: model


class Visitor:
    """A participant's browser, reduced to forms."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.text = ""

    def enter(self, code: str) -> Visitor:
        self.took(self.client.post("/enter", data={"code": code}))
        return self

    def get(self, path: str = "/study") -> Visitor:
        self.took(self.client.get(path))
        return self

    def send(self, **fields: str) -> Visitor:
        """Send the form on the last page that was read."""
        self.took(self.client.post("/study", data={"page": self.token, **fields}))
        return self

    def begin(self, **persona: str) -> Visitor:
        """Complete the pages before the first task."""
        self.send(agree="yes")
        if "Your persona" in self.text:
            self.send(
                **{
                    "age": "25 to 34",
                    "race": "",
                    "gender": "female",
                    "education": "high school",
                    "native_english": "native",
                    **persona,
                }
            )
        self.send(experience="None")
        if "Start the Survey" in self.text:
            self.send()
        return self

    def until(self, said: str) -> Visitor:
        """Reload the page until it contains a text, because a reply may take a moment."""
        for _ in range(200):
            if said in self.get().text:
                return self
        raise AssertionError(self.text)

    @property
    def token(self) -> str:
        found = re.search(r'name="page" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]

    def took(self, response: Any) -> None:
        """Read a response as the current page."""
        self.status: int = response.status_code
        self.text = response.text


def visiting(
    folder: Path,
    open_model: Callable[[ModelSpec], ChatModel] | None = None,
    access: Access | None = None,
) -> TestClient:
    """Return a client of a study's application, which must be entered; clients share the
    application."""
    options: dict[str, Any] = {"open_model": open_model} if open_model else {}
    return TestClient(study_app(folder, access or Access(), **options), "http://localhost")
