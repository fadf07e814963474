"""Human labels as JSON lines: one line per conversation, annotator and question.

    {"conversation": "c-1", "annotator": "7", "aspect": "topic", "value": 4.0}
    {"conversation": "c-1", "annotator": "7", "aspect": "artificial", "protocol": "unieval",
     "choice": "Yes"}

A file contains the labels of all annotators. `annotator` is the labelling tool's code for a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, cast

from pydantic import Field, ValidationError, model_validator

from convogen.errors import SourceError
from convogen.inputs.keys import first_fault
from convogen.inputs.text_file import open_file, read_text
from convogen.judges.verdict_files import PROTOCOLS, Protocol
from convogen.records import Record

__all__ = ["HumanLabel", "is_label_file", "is_label_text", "labels_of", "read_labels"]


class HumanLabel(Record):
    """One annotator's answer to one question about a conversation.

    Exactly one of `value`, `choice` and `comment` is set. `aspect` is the question's name. If
    `protocol` is set, the choice can be compared with judges' verdicts under that protocol.
    """

    conversation: str = Field(min_length=1)
    annotator: str = Field(min_length=1)
    aspect: str = Field(min_length=1)
    value: float | None = Field(default=None, allow_inf_nan=False)
    protocol: Protocol | None = None
    choice: str | None = None
    comment: str | None = None

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        given = (self.value, self.choice, self.comment)
        if sum(one is not None for one in given) != 1:
            raise ValueError("must have exactly one of value, choice and comment")
        if self.protocol and self.choice not in PROTOCOLS[self.protocol]:
            allowed = ", ".join(PROTOCOLS[self.protocol])
            raise ValueError(f"choice under the {self.protocol} protocol must be one of {allowed}")
        return self


def is_label_text(text: str) -> bool:
    """Return whether the first non-empty line of `text` is a human label."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        row: Any = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {"conversation", "annotator"} <= cast("Any", row).keys()


def is_label_file(path: Path) -> bool:
    """Return whether a file contains human labels, judging by its first line."""
    try:
        with open_file(path) as file:
            return is_label_text(file.readline(1 << 20).decode("utf-8-sig", "replace"))
    except OSError:
        return False


def read_labels(path: Path) -> list[HumanLabel]:
    """Return the labels in a file.

    Raises:
        SourceError: A line is not a label, or contradicts an earlier label by the same annotator.
    """
    found: dict[tuple[str, str, str], HumanLabel] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            label = HumanLabel.model_validate_json(line)
        except ValidationError as error:
            said = first_fault(error)
            raise SourceError(f"{path} line {number}: not a human label: {said}") from error
        key = (label.conversation, label.annotator, label.aspect)
        if found.setdefault(key, label) != label:
            raise SourceError(
                f"{path} line {number}: contradicts an earlier label for {label.conversation!r} by "
                f"annotator {label.annotator!r}; delete the wrong label"
            )
    return list(found.values())


def labels_of(labels: Iterable[HumanLabel], protocol: Protocol) -> list[HumanLabel]:
    """Return the labels whose choices can be compared with verdicts under a protocol."""
    return [one for one in labels if one.protocol == protocol and one.choice is not None]
