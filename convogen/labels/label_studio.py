"""Answers from Label Studio, exported as JSON or JSON-MIN.

JSON lists the annotations of each task, including cancelled ones. JSON-MIN has one row per
annotation, with the answers next to the task's data, and omits cancelled annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

from convogen.errors import SourceError
from convogen.labels.answers import Answer, as_mapping, plain

__all__ = ["label_studio_answers"]

_VALUES = {"rating": "rating", "choices": "choices", "textarea": "text"}
_CANCELLED = "annotations skipped or cancelled"
_EMPTY = "conversations without an answer"
_NOBODY = "unknown"


def label_studio_answers(
    data: list[Any], where: str, left_out: Counter[str], asked: Sequence[str]
) -> Iterator[Answer]:
    """Yield the answers in an export, and count omitted entries in `left_out` by reason.

    `asked` lists the names of the questions, since JSON-MIN does not separate answers from the
    task's data.

    Raises:
        SourceError: The data is not a Label Studio export.
    """
    for number, row in enumerate(data, 1):
        task, place = as_mapping(row), f"{where}: task {number}"
        if isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list):
            yield from _annotations(task, place, left_out)
        elif "annotation_id" in task and "annotator" in task:
            yield from _row(task, place, left_out, asked)
        else:
            raise SourceError(
                f"{place}: not an annotated Label Studio task; export the project as JSON or "
                "JSON-MIN"
            )


def _annotations(task: dict[str, Any], place: str, left_out: Counter[str]) -> Iterator[Answer]:
    conversation = _conversation(as_mapping(task["data"]), place)
    kept = 0
    for one in cast("list[Any]", task["annotations"]):
        annotation = as_mapping(one)
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            left_out[_CANCELLED] += 1
            continue
        kept += 1
        annotator = _annotator(annotation.get("completed_by"))
        results = annotation.get("result")
        for each in cast("list[Any]", results) if isinstance(results, list) else ():
            result = as_mapping(each)
            question, key = result.get("from_name"), _VALUES.get(str(result.get("type")))
            if key is None or not isinstance(question, str):
                left_out["regions and relations that answer no question"] += 1
                continue
            value = plain(as_mapping(result.get("value")).get(key))
            yield Answer(place, conversation, annotator, question, value)
    left_out[_EMPTY] += not kept


def _row(
    row: dict[str, Any], place: str, left_out: Counter[str], asked: Sequence[str]
) -> Iterator[Answer]:
    conversation = _conversation(row, place)
    if row["annotation_id"] is None:
        left_out[_EMPTY] += 1
        return
    annotator = _annotator(row["annotator"])
    for question in asked:
        value = plain(row.get(question))
        given = as_mapping(value)
        value = next((plain(given[key]) for key in _VALUES.values() if key in given), value)
        if value is not None and value != []:
            yield Answer(place, conversation, annotator, question, value)


def _conversation(data: dict[str, Any], place: str) -> str:
    conversation = data.get("conversation")
    if not isinstance(conversation, str) or not conversation:
        raise SourceError(
            f"{place}: has no `conversation`; remove the tasks that convogen did not export"
        )
    return conversation


def _annotator(value: Any) -> str:
    """Return the annotator's id, or the e-mail address if there is no id, or "unknown"."""
    known = as_mapping(value)
    code = known.get("id", known.get("email")) if known else value
    return str(code) if isinstance(code, int | str) and str(code) else _NOBODY
