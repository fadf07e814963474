"""Exports of labelling tools, built from answers by conversation and annotator.

The formats are Label Studio's JSON and JSON-MIN, and those of Argilla's `records.to_json` and
`to_list(flatten=True)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Answers", "argilla_flat", "argilla_nested", "label_studio", "label_studio_min"]

Answers = Mapping[tuple[str, str], Mapping[str, Any]]
"""Conversation and annotator -> question -> answer: a rating, a choice, or a list of texts."""


def label_studio(answers: Answers, cancelled: str | None = None) -> list[dict[str, Any]]:
    """Return tasks with annotations; the annotator `cancelled` skipped every task."""
    tasks: dict[str, dict[str, Any]] = {}
    for (conversation, annotator), given in answers.items():
        task = tasks.setdefault(
            conversation,
            {
                "id": len(tasks) + 1,
                "data": {"conversation": conversation, "dialogue": [{"speaker": "A", "text": "b"}]},
                "annotations": [],
                "drafts": [],
                "predictions": [],
            },
        )
        results = [_result(question, value) for question, value in given.items()]
        task["annotations"].append(_annotation(annotator, results))
    if cancelled is not None:
        for task in tasks.values():
            task["annotations"].append(_annotation(cancelled, [], was_cancelled=True))
    return list(tasks.values())


def _annotation(
    annotator: str, results: list[dict[str, Any]], was_cancelled: bool = False
) -> dict[str, Any]:
    code: Any = int(annotator) if annotator.isdigit() else {"id": annotator, "email": "a@b.example"}
    return {"completed_by": code, "result": results, "was_cancelled": was_cancelled}


def _result(question: str, value: Any) -> dict[str, Any]:
    kind, key, kept = _typed(value)
    return {
        "from_name": question,
        "to_name": "dialogue",
        "type": kind,
        "origin": "manual",
        "value": {key: kept},
    }


def _typed(value: Any) -> tuple[str, str, Any]:
    if isinstance(value, int):
        return "rating", "rating", value
    if isinstance(value, list):
        return "textarea", "text", value
    return "choices", "choices", [value]


def label_studio_min(answers: Answers) -> list[dict[str, Any]]:
    """Return one row per annotation, with the answers next to the task's data."""
    rows: list[dict[str, Any]] = []
    for number, ((conversation, annotator), given) in enumerate(answers.items(), 1):
        row: dict[str, Any] = {"conversation": conversation, "dialogue": [], "id": number}
        for question, value in given.items():
            if isinstance(value, int):
                row[question] = [{"rating": value}]
            elif isinstance(value, list):
                row[question] = value[0] if len(value) == 1 else [{"text": value}]
            else:
                row[question] = value
        row |= {"annotator": int(annotator), "annotation_id": number, "lead_time": 4.2}
        rows.append(row)
    return rows


def argilla_nested(answers: Answers) -> list[dict[str, Any]]:
    """Return records with responses by question, without their status."""
    records: dict[str, dict[str, Any]] = {}
    for (conversation, annotator), given in answers.items():
        record = records.setdefault(
            conversation,
            {
                "id": conversation,
                "fields": {"dialogue": [{"role": "A", "content": "b"}]},
                "metadata": {},
                "suggestions": {},
                "responses": {},
                "vectors": {},
                "status": "completed",
                "_server_id": f"s-{conversation}",
            },
        )
        for question, value in given.items():
            said = "\n".join(value) if isinstance(value, list) else value
            of = record["responses"].setdefault(question, [])
            of.append({"value": said, "user_id": annotator})
    return list(records.values())


def argilla_flat(answers: Answers, discarded: str | None = None) -> list[dict[str, Any]]:
    """Return records with parallel lists per question; the annotator `discarded` discarded
    everything."""
    rows: list[dict[str, Any]] = []
    for record in argilla_nested(answers):
        row = {key: record[key] for key in ("id", "status", "_server_id")}
        row["dialogue"] = record["fields"]["dialogue"]
        for question, responses in record["responses"].items():
            users = [one["user_id"] for one in responses]
            row[f"{question}.responses"] = [one["value"] for one in responses]
            row[f"{question}.responses.users"] = users
            row[f"{question}.responses.status"] = [
                "discarded" if user == discarded else "submitted" for user in users
            ]
        rows.append(row)
    return rows
