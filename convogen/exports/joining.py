"""A run's conversations with their experiences and scores, streamed one at a time.

All files of a run are in plan order, so they can be joined while they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args, get_origin

from convogen.errors import RunFolderError
from convogen.exports.base import CONTEXT, LABEL, Column, Item, without_folders
from convogen.records import PersonaCard, Score
from convogen.storage.run_folder import Run

__all__ = ["JOINS", "Contents", "items", "joined_columns", "joined_values", "look_through"]

JOINS = ("personas", "scores", "provenance")
"""The names of the columns that can be joined to the rows."""

_SCORE = ("judge", "aspect", "value", "method", "explanation", "reason")


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a run, as found in one pass over its conversations.

    `speakers` maps each speaker's name to the number of conversations in which the name occurs.
    `labels` maps context labels to their columns, `kinds` maps the columns of model-assigned labels
    to their types, and `judges` lists the judges that have scored the run.
    """

    conversations: int
    speakers: Counter[str]
    labels: dict[str, str]
    kinds: dict[str, Column]
    judges: list[str]


def look_through(run: Run, reserved: Sequence[str]) -> Contents:
    """Return the contents of a run; `reserved` are column names that no label's column may have.

    Raises `RunFolderError` if the run has no conversations yet.
    """
    speakers: Counter[str] = Counter()
    labels: dict[str, str] = {}
    kinds: dict[str, Column] = {}
    count = 0
    for conversation in run.conversations():
        count += 1
        speakers.update({turn.speaker for turn in conversation.turns})
        for label in conversation.context:
            if label not in labels:
                taken = {*reserved, *labels.values()}
                clash = label in taken or label.startswith(LABEL)
                labels[label] = CONTEXT + label if clash else label
        for kind, label in (conversation.labelled or {}).items():
            kinds[LABEL + kind] = ["string"] if isinstance(label.value, list) else "string"
    if not count:
        raise RunFolderError(
            f"{run.folder}: this run has no committed conversations yet; continue it first"
        )
    return Contents(count, speakers, labels, kinds, run.judges())


def items(run: Run, judges: Sequence[str], n: int | None = None) -> Iterator[Item]:
    """Yield the first `n` conversations in a run with their experiences and the scores from
    `judges`.

    Raises `RunFolderError` if an experience or score is missing or out of order.
    """
    experiences = run.experiences()
    scores = [_Scores(run, judge) for judge in judges]
    for conversation in islice(run.conversations(), n):
        wanted = conversation.experience
        experience = None
        if wanted is not None:
            experience = next((one for one in experiences if one.id == wanted), None)
            if experience is None:
                raise RunFolderError(
                    f"{run.folder}/experiences.jsonl: the experience {wanted!r} of conversation "
                    f"{conversation.id!r} is missing or not in the order of the plan; restore the "
                    f"file"
                )
        found = tuple(score for one in scores for score in one.of(conversation.id))
        yield Item(conversation, experience, found)


class _Scores:
    """A judge's scores, read in step with the conversations; the judge may have stopped early."""

    def __init__(self, run: Run, judge: str) -> None:
        self._rows = run.scores(judge)
        self._next = next(self._rows, None)

    def of(self, conversation: str) -> Iterator[Score]:
        while self._next is not None and self._next.conversation == conversation:
            yield self._next
            self._next = next(self._rows, None)


def joined_columns(joins: Sequence[str]) -> dict[str, Column]:
    """Return the columns that the joins add, with their types."""
    found: dict[str, Column] = {}
    if "personas" in joins:
        card = {name: _column(field.annotation) for name, field in PersonaCard.model_fields.items()}
        texts: dict[str, Column] = dict.fromkeys(("name", "text", "source", "licence"), "string")
        found["personas"] = [{**texts, "card": card}]
    if "scores" in joins:
        found["scores"] = [{name: "float64" if name == "value" else "string" for name in _SCORE}]
    if "provenance" in joins:
        found["provenance"] = _provenance_column()
    return found


def joined_values(item: Item, joins: Sequence[str]) -> dict[str, Any]:
    """Return the values of the columns that the joins add."""
    found: dict[str, Any] = {}
    if "personas" in joins:
        people = item.experience.personas if item.experience else []
        found["personas"] = [persona.model_dump(exclude={"id", "features"}) for persona in people]
    if "scores" in joins:
        found["scores"] = [score.model_dump(include=set(_SCORE)) for score in item.scores]
    if "provenance" in joins:
        found["provenance"] = _provenance(item)
    return found


def _column(annotation: Any) -> Column:
    """Return the column type for a field of a persona card; raises `TypeError` if no type fits."""
    plain: Mapping[Any, str] = {int: "int64", float: "float64", str: "string", bool: "bool"}
    if annotation in plain:
        return plain[annotation]
    inner = get_args(annotation)
    if get_origin(annotation) is list and inner:
        return [_column(inner[0])]
    if hasattr(annotation, "__metadata__"):
        return _column(annotation.__origin__)
    raise TypeError(f"no column type for {annotation}")


def _provenance_column() -> Column:
    turn: Column = {
        **dict.fromkeys(("origin", "model", "request"), "string"),
        "selection_reply": "string",
        "selection_repair": "string",
        "reasks": ["string"],
        "lapse": "string",
    }
    return {
        "task": "int64",
        "generator": "string",
        "shots": ["string"],
        "similarity": "float64",
        "admitted": "bool",
        "repairs": ["string"],
        "prompt_tokens": "int64",
        "completion_tokens": "int64",
        "turns": [turn],
    }


def _provenance(item: Item) -> dict[str, Any]:
    """Return the provenance of a conversation, with the token counts of its own model calls."""
    known, found = item.experience, item.conversation
    turns = [
        {
            "origin": turn.origin,
            "model": _model(turn.model),
            "request": turn.request,
            "selection_reply": turn.selection.reply if turn.selection else None,
            "selection_repair": turn.selection.repair if turn.selection else None,
            "reasks": turn.reasks,
            "lapse": turn.lapse,
        }
        for turn in found.turns
    ]
    return {
        "task": found.task,
        "generator": _model(known.model) if known else None,
        "shots": known.shots if known else [],
        "similarity": known.similarity if known else None,
        "admitted": known.admitted if known else None,
        "repairs": known.repairs if known else [],
        "prompt_tokens": found.usage.prompt_tokens if found.usage else None,
        "completion_tokens": found.usage.completion_tokens if found.usage else None,
        "turns": turns,
    }


def _model(name: str | None) -> str | None:
    return None if name is None else without_folders(name)
