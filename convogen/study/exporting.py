"""Export of a study: answers and conversations as files for convogen's other commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.exports.base import Column
from convogen.exports.containers import open_writer
from convogen.jsonl import make_folder, write_whole
from convogen.study.collected import write_natural
from convogen.study.progress import check_passed, pair_answer
from convogen.study.store import STORE_FILE, Store
from convogen.study.study_file import CollectDesign, PairsDesign
from convogen.study.study_yaml import load_design
from convogen.study.tables import Answer, Participant
from convogen.text.counting import counted

__all__ = ["export_study"]

_PAIRS: dict[str, Column] = {
    **dict.fromkeys(
        ("pair", "participant", "source_person", "goal", "condition", "natural", "simulated"),
        "string",
    ),
    "artificial_side": "string",
    "choice": "string",
    "confidence": "string",
    "utterance": "int64",
    "seconds": "float64",
    "probability": "float64",
    "attention_check": "bool",
    "answered_at": "string",
}
_RATINGS: dict[str, Column] = {
    "participant": "string",
    "conversation": "string",
    "aspect": "string",
    "value": "int64",
    "comment": "string",
    "seconds": "float64",
    "attention_check": "bool",
    "passed": "bool",
}


def export_study(folder: Path, target: Path) -> list[str]:
    """Write participants' answers to a new folder, and return a line about each file.

    Args:
        folder: The study's folder.
        target: The folder to write, which must be new or empty.

    Raises:
        RunFolderError: The target is not empty, or cannot be written.
        SourceError: The folder does not contain a study.
    """
    design = load_design(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunFolderError(
            f"{target}: already exists and is not an empty folder; choose a new or empty folder "
            "with --to"
        )
    store = Store(folder / STORE_FILE)
    try:
        make_folder(target)
        lines = [_participants(target, store)]
        if isinstance(design, CollectDesign):
            return lines + write_natural(design, store, folder, target)
        return lines + (
            _pairs(target, store) if isinstance(design, PairsDesign) else _ratings(target, store)
        )
    finally:
        store.close()


def _participants(target: Path, store: Store) -> str:
    """Write participants' answers about themselves."""
    rows: list[dict[str, Any]] = []
    for one in store.participants():
        answers = store.answers(one.id)
        if "consent" in answers:
            experience = answers["experience"].body if "experience" in answers else {}
            features = answers["persona"].body if "persona" in answers else {}
            row = {"participant": one.id, "chatbot_experience": experience.get("experience")}
            rows.append({**row, **({"features": features} if features else {})})
    _write_jsonl(target / "participants.jsonl", rows)
    return f"{target / 'participants.jsonl'}: {counted(len(rows), 'participant')}"


def _answered(store: Store, participant: Participant) -> Iterable[tuple[dict[str, Any], Answer]]:
    answers = store.answers(participant.id)
    for at, item in enumerate(store.items(participant.id)):
        if (answer := answers.get(f"item:{at}")) is not None:
            yield item, answer


def _pairs(target: Path, store: Store) -> list[str]:
    rows = [
        pair_answer(item, answer).model_dump(mode="json")
        for one in store.participants()
        for item, answer in _answered(store, one)
    ]
    _write_jsonl(target / "answers.jsonl", rows)
    _write_parquet(target, "answers", _PAIRS, rows)
    return [
        f"{target / 'answers.jsonl'}: {counted(len(rows), 'answer')}; also in data/answers.parquet"
    ]


def _ratings(target: Path, store: Store) -> list[str]:
    """Write a file for each participant with the ratings, except attention checks, and a file with
    all ratings."""
    rows: list[dict[str, Any]] = []
    make_folder(target / "ratings")
    people = 0
    for one in store.participants():
        own: list[dict[str, Any]] = []
        for item, answer in _answered(store, one):
            passed = check_passed(item, answer.body)
            rest = {
                "comment": answer.body.get("comment"),
                "seconds": round(answer.seconds, 3),
                "attention_check": passed is not None,
                "passed": passed,
            }
            rated = [
                {"conversation": item["dialogue"], "aspect": scale, "value": value}
                for scale, value in answer.body["ratings"].items()
            ]
            rows += [{"participant": one.id, **row, **rest} for row in rated]
            own += rated if passed is None else []
        if own:
            people += 1
            _write_jsonl(target / "ratings" / f"{one.id}.jsonl", own)
    _write_jsonl(target / "ratings.jsonl", rows)
    _write_parquet(target, "ratings", _RATINGS, rows)
    return [
        f"{target / 'ratings'}: {counted(people, 'file')} of ratings, one per participant; "
        f"to measure agreement, run convogen agreement --protocol scores FILE FILE …",
        f"{target / 'ratings.jsonl'}: {counted(len(rows), 'rating')}; also in data/ratings.parquet",
    ]


def _write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_parquet(
    target: Path, name: str, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> None:
    writer = open_writer("parquet", target, name, columns)
    for row in rows:
        writer.write(row)
    writer.close()
