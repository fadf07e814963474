"""Conversations for Argilla 2.x, in a folder that `rg.Dataset.from_disk` reads.

Argilla shows text as HTML even if the text is not Markdown. `<`, `>` and `&` are therefore escaped,
so that annotators see the original text. Argilla limits a role to 20 characters and a message to
20,000 characters. Longer names are truncated, and longer turns become several messages.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from pydantic import Field

from convogen.exports.base import Column, Item, Packing
from convogen.exports.labelling import Labelling
from convogen.exports.scenes import scene_text
from convogen.labels import Choice, Comment, Question, Rating
from convogen.records import Turn

__all__ = ["ArgillaRecords"]

_LONGEST_ROLE = 20
_LONGEST_PART = 4_000
"""Maximum number of characters per message; escaping increases this number to at most 20,000."""

_EMPTY = "\N{NO-BREAK SPACE}"


class ArgillaRecords(Labelling):
    """A folder for Argilla 2 (`rg.Dataset.from_disk`), with questions and one record per
    conversation."""

    name: ClassVar[str] = "argilla"
    about_rows: ClassVar[str] = "one record per conversation"
    for_tool: ClassVar[str | None] = "Argilla"
    loading: ClassVar[str] = (
        "```python\nimport argilla as rg\n\n"
        'client = rg.Argilla(api_url="…", api_key="…")\n'
        'data = rg.Dataset.from_disk("FOLDER", workspace="…", client=client)\n```'
    )
    data_file: ClassVar[str] = "records.json"

    annotators: int = Field(
        default=1, ge=1, le=1_000, description="number of annotators per conversation"
    )

    def columns(self) -> dict[str, Column]:
        message: Column = {"role": "string", "content": "string"}
        return {"id": "string", "fields": {"scene": "string", "dialogue": [message]}}

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        scene = scene_text(item) if self.scene else ""
        messages = list(_messages(item.conversation.turns, counts))
        yield {
            "id": item.conversation.id,
            "fields": {**({"scene": _escaped(scene)} if scene else {}), "dialogue": messages},
            "metadata": {},
            "suggestions": {},
            "responses": {},
            "vectors": {},
        }

    def settings(self, packing: Packing) -> dict[str, str]:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", str(packing.manifest.get("name") or "")).strip("-_")
        fields = [_field("dialogue", "Conversation", "chat", required=True)]
        if self.scene:
            fields.insert(0, _field("scene", "Scene", "text", required=False))
        settings = {
            "guidelines": self.questions.guidelines,
            "questions": [_question(one) for one in self.questions.questions],
            "fields": fields,
            "vectors": [],
            "metadata": [],
            "allow_extra_metadata": False,
            "distribution": {"strategy": "overlap", "min_submitted": self.annotators},
            "mapping": None,
        }
        dataset = {"name": name or "conversations", "status": "draft"}
        dataset |= {"guidelines": self.questions.guidelines, "allow_extra_metadata": False}
        files = {".argilla/settings.json": settings, ".argilla/dataset.json": dataset}
        return {path: json.dumps(content, indent=1) + "\n" for path, content in files.items()}


def _messages(turns: Iterable[Turn], counts: Counter[str]) -> Iterator[dict[str, str]]:
    roles: dict[str, str] = {}
    for turn in turns:
        role = roles.get(turn.speaker)
        if role is None:
            role = roles[turn.speaker] = _role(turn.speaker, set(roles.values()))
            counts["names_shortened"] += role != turn.speaker
        for start in range(0, max(1, len(turn.text)), _LONGEST_PART):
            part = turn.text[start : start + _LONGEST_PART]
            yield {"role": role, "content": _escaped(part) or _EMPTY}


def _role(speaker: str, taken: set[str]) -> str:
    """Return a unique name of at most 20 characters."""
    role, number = speaker[:_LONGEST_ROLE] or _EMPTY, 2
    while role in taken:
        tail = f"…{number}"
        role, number = speaker[: _LONGEST_ROLE - len(tail)] + tail, number + 1
    return role


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _field(name: str, title: str, kind: str, *, required: bool) -> dict[str, Any]:
    settings = {"type": kind, "use_markdown": False}
    return {"name": name, "title": title, "required": required, "settings": settings}


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name,
        "title": question.title,
        "required": question.required,
        "settings": _settings(question),
    }


def _settings(question: Question) -> dict[str, Any]:
    match question:
        case Rating():
            options = [{"value": value} for value in question.values]
            return {"type": "rating", "options": options}
        case Choice():
            shown = [{"value": value, "text": text} for value, text in question.options.items()]
            return {"type": "label_selection", "options": shown}
        case Comment():
            return {"type": "text", "use_markdown": False}
