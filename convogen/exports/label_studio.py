"""Conversations for Label Studio: tasks, and the project's labelling configuration.

The `Paragraphs` tag shows both the turns and the scene as plain text. In the configuration, which
is XML, the texts of the questions are escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

from convogen.exports.base import TURN, Column, Item, Packing
from convogen.exports.labelling import Labelling
from convogen.exports.scenes import scene_parts
from convogen.labels import Choice, Comment, Question, Rating

__all__ = ["LabelStudioTasks"]

_DIALOGUE = "dialogue"
_PARAGRAPHS = {"valueType": "json", "nameKey": "speaker", "textKey": "text"}


class LabelStudioTasks(Labelling):
    """A folder for Label Studio, with `tasks.json` to import and `config.xml` for the interface."""

    name: ClassVar[str] = "label-studio"
    about_rows: ClassVar[str] = "one task per conversation"
    for_tool: ClassVar[str | None] = "Label Studio"
    loading: ClassVar[str] = (
        "Create a project, paste `config.xml` under Settings > Labeling Interface > Code, and "
        "import `tasks.json`. Export the annotations as JSON or JSON-MIN."
    )
    data_file: ClassVar[str] = "tasks.json"

    def columns(self) -> dict[str, Column]:
        return {"data": {"conversation": "string", "scene": [TURN], _DIALOGUE: [TURN]}}

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        turns = [{"speaker": turn.speaker, "text": turn.text} for turn in item.conversation.turns]
        scene = [{"speaker": title, "text": text} for title, text in scene_parts(item)]
        yield {
            "data": {
                "conversation": item.conversation.id,
                **({"scene": scene or [{"speaker": "Scene", "text": "–"}]} if self.scene else {}),
                _DIALOGUE: turns or [{"speaker": "–", "text": "–"}],
            }
        }

    def settings(self, packing: Packing) -> dict[str, str]:
        view = ET.Element("View")
        if self.scene:
            ET.SubElement(view, "Header", value="Scene", size="5")
            ET.SubElement(view, "Paragraphs", {"name": "scene", "value": "$scene", **_PARAGRAPHS})
        ET.SubElement(view, "Header", value="Conversation", size="5")
        shown = {"name": _DIALOGUE, "value": f"${_DIALOGUE}", "layout": "dialogue", **_PARAGRAPHS}
        ET.SubElement(view, "Paragraphs", shown)
        for question in self.questions.questions:
            ET.SubElement(view, "Header", value=question.title, size="5")
            _control(view, question)
        ET.indent(view)
        return {
            "config.xml": ET.tostring(view, encoding="unicode") + "\n",
            "guidelines.txt": self.questions.guidelines + "\n",
        }


def _control(view: ET.Element, question: Question) -> None:
    """Add the tag for a question's answer; a rating scale that does not start at 1 becomes a set of
    choices."""
    common = {"name": question.name, "toName": _DIALOGUE}
    common["required"] = str(question.required).lower()
    match question:
        case Rating() if question.scale[0] == 1:
            ET.SubElement(view, "Rating", {**common, "maxRating": str(question.scale[1])})
        case Rating():
            _choices(view, common, {str(value): str(value) for value in question.values})
        case Choice():
            _choices(view, common, question.options)
        case Comment():
            ET.SubElement(view, "TextArea", {**common, "rows": "3", "maxSubmissions": "1"})


def _choices(view: ET.Element, common: dict[str, str], options: dict[str, str]) -> None:
    more = {"choice": "single-radio", "showInline": "true"}
    choices = ET.SubElement(view, "Choices", {**common, **more})
    for value, text in options.items():
        alias = {"alias": value} if value != text else {}
        ET.SubElement(choices, "Choice", {"value": text, **alias})
