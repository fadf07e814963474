"""Import of a labelling tool's answers as human labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from convogen.errors import SourceError
from convogen.inputs.text_file import open_file
from convogen.labels.answers import Answer, as_mapping
from convogen.labels.argilla import UNKNOWN_STATUS, argilla_answers
from convogen.labels.human import HumanLabel
from convogen.labels.label_studio import label_studio_answers
from convogen.labels.questions import Choice, Questions, Rating

__all__ = ["EXPORTED", "TOOLS", "Imported", "import_labels"]

LARGEST_BYTES = 512 << 20

EXPORTED = {"argilla": "records.json", "label-studio": "tasks.json"}
"""Tool -> name of the file with conversations in the folder that `convogen export` writes."""

TOOLS = tuple(EXPORTED)


@dataclass
class Imported:
    """The labels from an export, in order, and the number of entries omitted for each reason.

    `unknown_status` counts accepted answers that may be drafts or discarded, since the export gives
    no status.
    """

    labels: list[HumanLabel] = field(default_factory=list[HumanLabel])
    left_out: Counter[str] = field(default_factory=Counter[str])
    unknown_status: int = 0

    @property
    def annotators(self) -> int:
        """The number of annotators who answered."""
        return len({label.annotator for label in self.labels})

    @property
    def conversations(self) -> int:
        """The number of labelled conversations."""
        return len({label.conversation for label in self.labels})


def import_labels(path: Path, tool: str, exported: Path | None = None) -> Imported:
    """Return the labels in a labelling tool's export.

    Args:
        path: The tool's export.
        tool: One of `TOOLS`.
        exported: The folder that `convogen export` wrote for the tool, which defines the questions
            and the conversations. If None, the default questions apply and any conversation is
            accepted.

    Raises:
        SourceError: The file is not an export of this tool, or an answer does not fit its question,
            contradicts another answer, or is about a conversation that was not exported.
    """
    questions, known = Questions.default(), None
    if exported is not None:
        questions, known = _asked(exported, tool)
    if path.is_dir() and tool == "argilla":
        path = path / EXPORTED[tool]
    found = Imported()
    labels: dict[tuple[str, str, str], HumanLabel] = {}
    for answer in _answers(_json_list(path), str(path), tool, questions, found.left_out):
        if known is not None and answer.conversation not in known:
            raise SourceError(
                f"{answer.place}: conversation {answer.conversation!r:.80} was not exported to "
                f"{exported}; use --export to name the folder from which it was labelled"
            )
        label = _label(answer, questions, exported)
        if label is None:
            continue
        key = (label.conversation, label.annotator, label.aspect)
        if labels.setdefault(key, label) != label:
            raise SourceError(
                f"{answer.place}: {label.aspect}: annotator {label.annotator!r:.80} gave two "
                "different answers; delete one of them in the tool"
            )
    found.labels = list(labels.values())
    found.unknown_status = found.left_out.pop(UNKNOWN_STATUS, 0)
    found.left_out = +found.left_out
    return found


def _answers(
    data: list[Any], where: str, tool: str, questions: Questions, left_out: Counter[str]
) -> Iterable[Answer]:
    if tool == "argilla":
        return argilla_answers(data, where, left_out)
    asked = [one.name for one in questions.questions]
    return label_studio_answers(data, where, left_out, asked)


def _label(answer: Answer, questions: Questions, exported: Path | None) -> HumanLabel | None:
    """Return an answer as a label, or None if the answer is an empty comment."""
    question = questions.get(answer.question)
    if question is None:
        hint = "" if exported else "; use --export FOLDER to read your own questions"
        asked = ", ".join(one.name for one in questions.questions)
        raise SourceError(
            f"{answer.place}: {answer.question!r:.80} is not one of the questions ({asked}){hint}"
        )
    given: dict[str, Any]
    if isinstance(question, Rating):
        given = {"value": float(_rating(answer, question))}
    elif isinstance(question, Choice):
        given = {"choice": _choice(answer, question), "protocol": question.protocol}
    elif text := _text(answer):
        given = {"comment": text}
    else:
        return None
    return HumanLabel(
        conversation=answer.conversation,
        annotator=answer.annotator,
        aspect=question.name,
        **given,
    )


def _text(answer: Answer) -> str:
    value = answer.value
    lines = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise SourceError(f"{answer.place}: {answer.question}: must be text")
    return "\n".join(lines).strip()


def _rating(answer: Answer, question: Rating) -> int:
    value = answer.value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:3])
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    if not whole or value not in question.values:
        low, high = question.scale
        raise SourceError(
            f"{answer.place}: {question.name}: {_quoted(answer.value)} by annotator "
            f"{answer.annotator!r:.80} is not on the scale from {low} to {high}"
        )
    return int(value)


def _choice(answer: Answer, question: Choice) -> str:
    shown = {text: value for value, text in question.options.items()}
    value = answer.value
    if isinstance(value, str):
        if value in question.options:
            return value
        if value in shown:
            return shown[value]
    raise SourceError(
        f"{answer.place}: {question.name}: {_quoted(value)} by annotator {answer.annotator!r:.80} "
        f"is not an option; allowed: {', '.join(shown)}"
    )


def _quoted(value: Any) -> str:
    return f"{value!r:.80}"


def _asked(folder: Path, tool: str) -> tuple[Questions, Collection[object]]:
    """Return the questions and the conversation ids of an export."""
    path, questions = folder / EXPORTED[tool], folder / "questions.yaml"
    if not path.is_file() or not questions.is_file():
        raise SourceError(
            f"{folder}: not a folder written by `convogen export --to {tool}`; {path.name} or "
            "questions.yaml is missing"
        )
    rows = [as_mapping(row) for row in _json_list(path)]
    ids = {
        row.get("id") if tool == "argilla" else as_mapping(row.get("data")).get("conversation")
        for row in rows
    }
    return Questions.read(questions), ids


def _json_list(path: Path) -> list[Any]:
    """Return the list in a JSON file, or raise `SourceError` if the file does not contain one."""
    try:
        with open_file(path) as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise SourceError(
                f"{path}: is larger than the maximum size of {LARGEST_BYTES >> 20} MB; split it"
            )
        found: Any = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise SourceError(f"{path}: is not JSON or is incomplete: {said}") from error
    if not isinstance(found, list):
        raise SourceError(f"{path}: must contain a list of exported records or tasks")
    return cast("list[Any]", found)
