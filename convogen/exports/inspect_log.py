"""Export of a run as an Inspect AI log, for Inspect View and other readers of such logs.

A sample is a conversation. Its input is the scene, its messages are the turns, and its scores are
the scores from all judges, with one entry per judge and aspect. The `inspect-ai` package is not
used because it takes up 300 MB, takes two seconds to import, and pins other versions of packages
that convogen uses. `convogen.exports.inspect_file` writes version 2 of the `.eval` format.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from convogen.corpora.seeds import INQUIRER, RESPONDER
from convogen.exports.base import (
    CONTEXT,
    Column,
    Container,
    Exporter,
    Item,
    Packing,
    without_folders,
)
from convogen.exports.inspect_file import is_unchanged, usage_row, write_log
from convogen.exports.joining import joined_values
from convogen.exports.scenes import scene_text
from convogen.records import Conversation, Score, Turn, Usage

__all__ = ["InspectLog"]

_SUFFIX = ".eval"
_OF_SCORE = {"method", "distribution", "mass", "index", "place", "reason"}


class InspectLog(Exporter):
    """An Inspect AI log (`--out NAME.eval`) for Inspect View, with one sample per conversation."""

    name: ClassVar[str] = "inspect"
    container: ClassVar[Container] = "jsonl"
    with_context: ClassVar[bool] = False
    about_rows: ClassVar[str] = "one sample per conversation, with the scores from all judges"
    for_tool: ClassVar[str | None] = "Inspect AI"
    single_file: ClassVar[str | None] = _SUFFIX
    with_scores: ClassVar[bool] = True

    def columns(self) -> dict[str, Column]:
        return dict.fromkeys(("id", "input"), "string")

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        conversation = item.conversation
        scores = {_score_key(score): _score(score) for score in item.scores}
        given = {key: score for key, score in scores.items() if score["value"] is not None}
        unscored = {key: scores[key]["explanation"] for key in scores if key not in given}
        yield {
            "id": conversation.id,
            "epoch": 1,
            "input": scene_text(item),
            "target": "",
            "messages": [
                _message(conversation, number, turn)
                for number, turn in enumerate(conversation.turns, 1)
            ],
            "scores": given,
            "metadata": {
                **_metadata(item),
                **({"unscored": unscored} if unscored else {}),
            },
            "model_usage": _usage(conversation),
        }

    def pack(self, packing: Packing) -> None:
        write_log(packing, packing.folder / f"export{_SUFFIX}")

    def wrote(self, path: Path) -> bool:
        return is_unchanged(path)


def _score_key(score: Score) -> str:
    return score.judge if score.judge == score.aspect else f"{score.judge}:{score.aspect}"


def _score(score: Score) -> dict[str, Any]:
    more = score.model_dump(include=_OF_SCORE, exclude_none=True)
    value = score.choice if score.value is None else score.value
    explanation = score.explanation or score.reason
    return {
        "value": value,
        **({"answer": score.choice} if score.choice is not None else {}),
        "explanation": explanation,
        **({"metadata": more} if more else {}),
        "history": [],
    }


def _message(conversation: Conversation, number: int, turn: Turn) -> dict[str, Any]:
    """Return a turn as a message. Its text begins with the speaker's name, unless the participants
    are a user and an assistant."""
    bare = set(conversation.participants) == {INQUIRER, RESPONDER}
    role = turn.speaker if bare and turn.speaker in (INQUIRER, RESPONDER) else RESPONDER
    text = turn.text if bare else f"{turn.speaker}: {turn.text}"
    known = {"speaker": turn.speaker, **({"lapse": turn.lapse} if turn.lapse else {})}
    model = {"model": without_folders(turn.model)} if turn.model else {}
    return {
        "id": f"{conversation.id}-{number}",
        "content": text,
        "metadata": {**known, **(model if role == INQUIRER else {})},
        "role": role,
        **(model if role != INQUIRER else {}),
    }


def _metadata(item: Item) -> dict[str, Any]:
    found = item.conversation
    known = {
        "participants": found.participants,
        "method": found.method,
        "experience": found.experience,
        "ended": found.ended,
        "language": found.language,
        "turns": len(found.turns),
        "labelled": {name: label.value for name, label in (found.labelled or {}).items()},
        **joined_values(item, ("personas", "provenance")),
    }
    labels = {
        CONTEXT + label if label in known else label: value
        for label, value in found.context.items()
    }
    return {key: v for key, v in (labels | known).items() if v not in (None, {}, [])}


def _usage(conversation: Conversation) -> dict[str, Mapping[str, int]]:
    """Return the turns' token usage for each model; the usage of other roles is in the run's
    ledger."""
    found: defaultdict[str, Usage] = defaultdict(Usage)
    for turn in conversation.turns:
        if turn.model and turn.usage:
            found[without_folders(turn.model)] += turn.usage
    return {model: usage_row(usage) for model, usage in found.items()}
