"""Answers from Argilla 2.x: `Dataset.to_disk`, `records.to_json`, or `to_list(flatten=True)`.

The first two formats group the answers by question and do not show which answers are drafts or were
discarded. The third format has three parallel lists per question: `<question>.responses`,
`<question>.responses.users` and `<question>.responses.status`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

from convogen.errors import SourceError
from convogen.labels.answers import Answer, as_mapping

__all__ = ["UNKNOWN_STATUS", "argilla_answers"]

UNKNOWN_STATUS = "answers of unknown status"
"""Counter key for accepted answers whose status (draft, discarded or submitted) is not exported."""

_LISTS = (".responses", ".responses.users", ".responses.status")


def argilla_answers(data: list[Any], where: str, left_out: Counter[str]) -> Iterator[Answer]:
    """Yield the submitted answers in an export, and count omitted entries in `left_out` by reason.

    Answers of unknown status are yielded, and are also counted under `UNKNOWN_STATUS`.

    Raises:
        SourceError: The data is not an Argilla export.
    """
    for number, row in enumerate(data, 1):
        record, place = as_mapping(row), f"{where}: record {number}"
        flat = any(key.endswith(_LISTS[0]) for key in record)
        nested = isinstance(record.get("fields"), dict) and "responses" in record
        if not (flat or nested or "_server_id" in record):
            raise SourceError(
                f"{place}: not an Argilla record; pass the folder written by `Dataset.to_disk` or "
                "the file written by `Dataset.records.to_json`"
            )
        conversation = record.get("id")
        if not isinstance(conversation, str):
            raise SourceError(
                f"{place}: has no `id` that names its conversation; keep the ids that "
                "`convogen export` wrote"
            )
        found = 0
        for question, value, user, status in _flat(record) if flat else _nested(record):
            if status not in (None, "submitted"):
                left_out["answers discarded or not submitted"] += 1
            elif not isinstance(user, str) or not user:
                raise SourceError(
                    f"{place}: {question}: an answer has no `user_id`, so its annotator is unknown"
                )
            elif value is not None:
                found += 1
                left_out[UNKNOWN_STATUS] += status is None
                yield Answer(place, conversation, user, question, value)
        left_out["conversations without an answer"] += not found


def _nested(record: dict[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    for question, responses in as_mapping(record.get("responses")).items():
        for response in cast("list[Any]", responses) if isinstance(responses, list) else ():
            given = as_mapping(response)
            yield question, given.get("value"), given.get("user_id"), given.get("status")


def _flat(record: dict[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    for key in record:
        if not key.endswith(_LISTS[0]):
            continue
        question = key.removesuffix(_LISTS[0])
        lists = [_entries(record.get(question + suffix)) for suffix in _LISTS]
        yield from ((question, *given) for given in zip(*lists, strict=False))


def _entries(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
