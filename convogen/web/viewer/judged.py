"""Judges' scores for a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from convogen.errors import RunFolderError
from convogen.records import Score
from convogen.storage.score_store import scores_manifest
from convogen.web.viewer.opened import Opened

__all__ = ["Judged", "judged_of"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A judge's scores for a conversation; `low` and `high` are the ends of the judge's scale."""

    judge: str
    model: str
    low: float | None
    high: float | None
    scores: list[Score]


def judged_of(opened: Opened, name: str) -> list[Judged]:
    """Return each judge's scores for the conversation with the id `name`."""
    by_judge: dict[str, list[Score]] = {}
    for score in opened.scores(name):
        by_judge.setdefault(score.judge, []).append(score)
    return [_by(opened, judge, scores) for judge, scores in by_judge.items()]


def _by(opened: Opened, judge: str, scores: list[Score]) -> Judged:
    try:
        manifest = scores_manifest(opened.run.folder / "scores" / f"{judge}.jsonl") or {}
    except RunFolderError:
        manifest = {}
    judged_by: Mapping[str, Any] = manifest.get("judged_by", {})
    scale = judged_by.get("scale", [1, 5] if judge == "geval" else None)
    low, high = _bounds(scale)
    return Judged(judge, str(judged_by.get("model") or "unknown model"), low, high, scores)


def _bounds(scale: Any) -> tuple[float | None, float | None]:
    ends = cast("list[Any]", scale) if isinstance(scale, list) else []
    if len(ends) == 2 and all(isinstance(end, int | float) for end in ends) and ends[0] < ends[1]:
        return float(ends[0]), float(ends[1])
    return None, None
