"""Alternatives to a run's conversations: other conversations with the same beginning and judge.

Alternatives come from counterfactual replays next to the run, which are recognised by their
manifests, and from other runs and replays that the user names. Two conversations are alternatives
if they have the same experience (participants and their persona cards, relations, situation and
topic, regardless of ids) and the same first turn. Conversations without experiences are
alternatives if they have the same participants and the same first turn. Scores are compared only if
they come from the same judge, that is, if the fingerprints in the manifests of the scores show that
the judges' names, models, prompts and parameters are equal.
"""

from __future__ import annotations

import glob
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError, SourceError
from convogen.exports.base import Item, without_folders
from convogen.exports.joining import items
from convogen.jsonl import rows_of_task
from convogen.records import Conversation, Score
from convogen.storage.run_folder import Run, load_run
from convogen.storage.score_store import scores_manifest
from convogen.suggested import suggested

__all__ = ["Alternatives"]

_EXPERIENCE = {"personas", "relations", "situation", "topic", "starter", "acquainted"}


@dataclass(frozen=True, slots=True)
class _Position:
    """The location of an alternative, and its scores."""

    run: Run
    task: int
    scores: tuple[Score, ...]

    def read(self) -> Item:
        path = self.run.folder / "conversations.jsonl"
        conversation = Conversation.model_validate(next(rows_of_task(path, self.task)))
        known = conversation.experience is not None
        experience = self.run.experience(self.task) if known else None
        return Item(conversation, experience, self.scores)


@dataclass
class Alternatives:
    """The alternatives to a run's conversations, grouped by beginning.

    Only the locations and scores of alternatives are kept in memory, not their text. `judged_by` is
    the manifest of the judge's scores. `unjudged` lists the folders that the judge has not scored.
    """

    judge: str
    runs: list[Run]
    judged_by: dict[str, Any]
    unjudged: list[Path] = field(default_factory=list[Path])
    _places: dict[bytes, list[_Position]] = field(
        default_factory=lambda: defaultdict[bytes, list[_Position]](list)
    )

    @classmethod
    def find(cls, run: Run, named: Sequence[str | Path], judge: str) -> Alternatives:
        """Read the alternatives to a run's conversations from the replays next to the run and from
        the named folders.

        Raises `SourceError` if there are no alternatives, if the judge has not scored the run, or
        if the judge has scored none of the alternatives. Raises `RunFolderError` if a folder cannot
        be read, or was scored by a different judge with the same name.
        """
        own = _judge_of(run, judge)
        if own is None:
            raise SourceError(
                f"{run.folder}: has no scores from the judge {judge!r}; run "
                f"`{suggested('evaluate', run.folder, '--judge', judge)}`, and run the same "
                "command for each replay of this run"
            )
        found = cls(judge, _runs(run, named), own)
        for other in found.runs:
            found._add(run, other)
        if len(found.unjudged) == len(found.runs):
            command = suggested("evaluate", found.unjudged[0], "--judge", judge)
            raise SourceError(
                f"{found.unjudged[0]}: {judge!r} has scored neither this alternative nor any "
                f"other alternative; run `{command}`"
            )
        return found

    @property
    def model(self) -> str:
        """The name of the judge's model."""
        essence = _object(self.judged_by.get("judged_by"))
        return without_folders(str(essence.get("model", "model not recorded")))

    @property
    def described(self) -> list[dict[str, Any]]:
        """The name, the fingerprint and the models (keyed by role) of each run with
        alternatives."""
        return [
            {
                "name": other.folder.resolve().name,
                "fingerprint": other.manifest.get("fingerprint"),
                "models": _models(other.manifest),
            }
            for other in self.runs
        ]

    def of(self, item: Item) -> Item:
        """Return a conversation with its alternatives added."""
        places = self._places.get(_beginning(item), ())
        return replace(item, alternatives=tuple(place.read() for place in places))

    def _add(self, run: Run, other: Run) -> None:
        judged = _judge_of(other, self.judge)
        if judged is None:
            self.unjudged.append(other.folder)
            return
        if judged.get("fingerprint") != self.judged_by.get("fingerprint"):
            raise RunFolderError(
                f"{other.folder}: the {self.judge} judge of this run differs from that of "
                f"{run.folder} in model, prompts or parameters; evaluate both runs with the same "
                "judge"
            )
        for item in items(other, [self.judge]):
            if (task := item.conversation.task) is not None:
                self._places[_beginning(item)].append(_Position(other, task, item.scores))


def _runs(run: Run, named: Sequence[str | Path]) -> list[Run]:
    """Return the replays next to a run, and the named runs, without duplicates or the run
    itself."""
    found: dict[Path, Run] = {}
    for other in [*_replays(run), *map(load_run, named)]:
        found.setdefault(other.folder.resolve(), other)
    found.pop(run.folder.resolve(), None)
    if not found:
        raise SourceError(
            f"{run.folder}: no replays of this run exist next to this folder; create "
            f"one with `{suggested('replay', run.folder)} --conversation ID --from-turn N`, or "
            "choose other runs with --alternatives"
        )
    return list(found.values())


def _replays(run: Run) -> Iterator[Run]:
    """Yield the replays of a run's conversations whose folders are next to the run's folder."""
    here = run.folder.resolve()
    fingerprint = run.manifest.get("fingerprint")
    for folder in sorted(here.parent.glob(f"{glob.escape(here.name)}.*.turn-*")):
        if not (folder / "manifest.json").is_file():
            continue
        replay = load_run(folder)
        if _object(replay.manifest.get("replay_of")).get("fingerprint") == fingerprint:
            yield replay


def _judge_of(run: Run, judge: str) -> dict[str, Any] | None:
    """Return the manifest of a judge's scores; None if there are no scores."""
    scores = run.folder / "scores" / f"{judge}.jsonl"
    if next(run.scores(judge), None) is None:
        return None
    found = scores_manifest(scores)
    if found is None:
        raise RunFolderError(
            f"{scores}: does not record which judge gave these scores; score the run again with "
            f"`convogen evaluate {run.folder} --judge {judge} --fresh`"
        )
    return _object(found)


def _beginning(item: Item) -> bytes:
    """Return a hash of the properties that alternatives have in common."""
    conversation, known = item.conversation, item.experience
    first = conversation.turns[0]
    if known is not None:
        played = known.model_dump_json(include=_EXPERIENCE)
    else:
        played = "\n".join(conversation.participants)
    text = "\0".join((played, first.speaker, first.text))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _models(manifest: dict[str, Any]) -> dict[str, str]:
    models = _object(manifest.get("models"))
    return {role: without_folders(str(_object(spec).get("name"))) for role, spec in models.items()}


def _object(value: Any) -> dict[str, Any]:
    """Return a value if it is a JSON object, or else an empty object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
