"""Small DiaSynth runs, and the replies of a sensible model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convogen import Experiment, run
from convogen.errors import EndpointDown
from convogen.methods.diasynth.settling import CHARACTERISTICS, FEELINGS
from convogen.models.backends.scripted import NAMES, ScriptedModel, improvise
from convogen.models.base import ModelReply, Request
from convogen.storage.run_folder import Run

__all__ = [
    "REASONED",
    "Answers",
    "Counting",
    "dialogue",
    "played",
    "sensible",
    "small",
    "speakers",
    "step",
]

Answers = Callable[[Request], str]


def small(tmp_path: Path, **keys: Any) -> Experiment:
    """Return an experiment with two topics, two subtopics each and three personas each: twelve
    dialogues."""
    topics = tmp_path / "topics.txt"
    topics.write_text("# what people talk about\nChess\n\nTea\n", "utf-8")
    sizes = {"n_subtopics": 2, "n_personas": 3, "turns": [2, 4], "topics": str(topics)}
    return Experiment(
        {"name": "small", "method": "diasynth", "models": "scripted", **sizes, **keys}
    )


def step(request: Request) -> str:
    """Return the step that a request belongs to: subtopics, personas, turns or a starter."""
    assert request.schema is not None
    return list(request.schema["properties"])[-1]


def sensible(request: Request) -> str:
    """Return the scripted model's reply, with distinct persona names and every person speaking."""
    reply = improvise(request)
    data: Any = json.loads(reply) if request.schema is not None else {}
    for nth, persona in enumerate(data.get("personas", [])):
        persona |= {"name": NAMES[nth], "about": f"{persona['about']}, all day long"}
    for nth, turn in enumerate(data.get("turns", [])):
        turn["speaker"] = speakers(request)[nth % len(speakers(request))]
    return json.dumps(data) if data else reply


def speakers(request: Request) -> list[str]:
    """Return the names of the people who may speak in the requested dialogue."""
    assert request.schema is not None
    return request.schema["$defs"]["DraftTurn"]["properties"]["speaker"]["enum"]


class Counting(ScriptedModel):
    """The scripted model, which counts its answers and fails after a given number of them."""

    def __init__(self, answers: Answers = sensible, down_after: int | None = None) -> None:
        super().__init__(answers)
        self.asked: list[Request] = []
        self._down_after = down_after

    async def complete(self, request: Request) -> ModelReply:
        if len(self.asked) == self._down_after:
            raise EndpointDown("the endpoint is down")
        self.asked.append(request)
        return await super().complete(request)


def played(experiment: Experiment, folder: Path, answers: Answers = sensible) -> Run:
    return run(experiment, folder, open_model=lambda _: ScriptedModel(answers))


def dialogue(request: Request, turns: list[tuple[int, str]]) -> str:
    """Return a reply with these turns; numbers are positions among the people who may speak."""
    names = speakers(request)
    said = [{"speaker": names[who] if who >= 0 else "Nobody", "text": text} for who, text in turns]
    return json.dumps({"reasoning": REASONED, "characteristics": settled(names), "turns": said})


def settled(names: list[str]) -> dict[str, Any]:
    """Return what a reply settles before the dialogue, for people with these names."""
    told: dict[str, Any] = {name: f"the {name}" for name in CHARACTERISTICS}
    return told | {FEELINGS: {name: f"{name} is in mood {at}" for at, name in enumerate(names)}}


REASONED = "They have played for years, so neither minds a rude word; that keeps it short."
