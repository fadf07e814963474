"""The only writer of a judge's scores in a run folder.

    scores/<judge>.jsonl            one row per conversation and aspect, in plan order
    scores/<judge>/manifest.json    the judge: model, prompts, parameters, fingerprint
    scores/<judge>/ledger.jsonl     one line per call: tokens, attempts, seconds
    scores/<judge>/calls.jsonl      one line per call, with the answer
    scores/<judge>/journal/         answered calls of scores not yet committed

Each score is a task, like each conversation in a run. Its calls are journalled, and the scores are
committed in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from convogen.errors import RunFolderError
from convogen.inputs.keys import first_fault
from convogen.inputs.text_file import open_file
from convogen.jsonl import write_whole
from convogen.models.traffic.journal import Journal
from convogen.records import Score
from convogen.storage.task_log import TaskLog, claim, lock, moved_aside

__all__ = ["ScoreStore", "move_scores_aside", "scores_manifest"]


class _JudgedBy(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompts: dict[str, str] | None = None


class _Manifest(BaseModel):
    """The fields of a score manifest whose types are checked."""

    model_config = ConfigDict(extra="allow")

    fingerprint: str
    judged_by: _JudgedBy
    kind: str | None = None
    source: str | None = None
    price: dict[str, Any] | None = None


class ScoreStore:
    """A judge's scores for a run, open for writing by one process at a time."""

    def __init__(self, run: Path, judge: str) -> None:
        self.path = run / "scores" / f"{judge}.jsonl"
        self._folder = self.path.with_suffix("")
        claim(self._folder)
        self._lock = lock(self._folder)
        self._log = TaskLog(self._folder, [], [self.path], key=None)
        self.committed = 0

    @classmethod
    def open(cls, run: Path, judge: str, manifest: Mapping[str, Any]) -> ScoreStore:
        """Open or create a judge's scores; `manifest` has at least `fingerprint` and `judged_by`.

        Raises `RunFolderError` if the scores are from another judge, or if another process is
        writing them.
        """
        _admit(run / "scores" / f"{judge}.jsonl", manifest)
        store = cls(run, judge)
        try:
            store._take(manifest)
            store.committed = store._log.recover(complete=False).committed
        except BaseException:
            store.close()
            raise
        return store

    def journal(self, task: int) -> Journal:
        """Return the journal of a score's answered calls."""
        return self._log.journal(task)

    def commit(self, task: int, score: Score, journal: Journal) -> None:
        """Append a score; raises `RunFolderError` if the score cannot be written."""
        assert task == self.committed, "scores are committed in the order of the plan"
        self._log.commit(task, journal, [(self.path, score.to_line())])
        self.committed += 1

    def close(self) -> None:
        """Flush all rows to disk and release the lock."""
        try:
            self._log.sync()
        finally:
            self._lock.release()

    def _take(self, manifest: Mapping[str, Any]) -> None:
        """Write the judge's description to the manifest of the scores."""
        if _admit(self.path, manifest) != manifest:
            text = json.dumps(manifest, indent=2, ensure_ascii=False)
            write_whole(self._folder / "manifest.json", text + "\n")


def _admit(scores: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the existing manifest; None if the file does not exist.

    Raises `RunFolderError` if the scores are from another judge or an unknown judge.
    """
    existing = scores_manifest(scores)
    if existing is None:
        if scores.exists() and scores.stat().st_size:
            raise RunFolderError(
                f"{scores}: does not record which judge gave these scores; move the file away"
            )
    elif existing["fingerprint"] != manifest["fingerprint"]:
        raise RunFolderError(
            f"{scores}: contains scores from another judge (fingerprint {existing['fingerprint']} "
            f"instead of {manifest['fingerprint']}; {_changed(existing, manifest)}); use --fresh "
            f"to move them aside and score again"
        )
    return existing


def scores_manifest(scores: Path) -> dict[str, Any] | None:
    """Return the manifest that belongs to a file of scores; None if the manifest does not exist.

    Raises `RunFolderError` if the manifest cannot be read or a key has the wrong type.
    """
    path = scores.with_suffix("") / "manifest.json"
    if not path.exists():
        return None
    try:
        with open_file(path) as file:
            manifest = json.load(file)
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        raise RunFolderError(
            f"{path}: was not written by convogen: {first_fault(error)}; restore the file, or move "
            f"the scores and their folder away"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(
            f"{path}: cannot be read: {error}; restore the file, or move the scores and their "
            "folder away"
        ) from error
    return manifest


def move_scores_aside(run: Path, judge: str) -> None:
    """Rename a judge's scores and their folder by appending the time to their names.

    Scores without a manifest are left in place. Raises `RunFolderError` if the manifest cannot be
    read, or if another process is writing the scores.
    """
    path = run / "scores" / f"{judge}.jsonl"
    if scores_manifest(path) is None:
        return
    aside = moved_aside(path.with_suffix(""))
    if path.exists():
        path.rename(aside.with_name(f"{aside.name}.jsonl"))


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return a description of the entries in which two judges' manifests differ."""
    there: dict[str, Any] = old.get("judged_by", {})
    here: dict[str, Any] = new["judged_by"]
    keys = sorted(key for key in {**there, **here} if there.get(key) != here.get(key))
    shown = [f"{key}: {there.get(key)!r} there, {here.get(key)!r} here" for key in keys]
    return "; ".join(text[:160] for text in shown[:3]) or "their descriptions are equal"
