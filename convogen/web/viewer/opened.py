"""The runs that are open in the viewer; their records are found through an index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from convogen.costs.ledger_costs import Prices
from convogen.errors import RunFolderError, UserError
from convogen.records import Conversation, Experience, Failure, Record, Rejected, Score
from convogen.storage.run_folder import Run, load_unchecked
from convogen.web.viewer.index import Index, index_path, reading
from convogen.web.viewer.lines import line_at
from convogen.web.viewer.scanner import Scanner

__all__ = ["MOST_RUNS", "Opened", "Outcome", "open_runs"]

MOST_RUNS = 10
"""Maximum number of indexes that SQLite can read in one connection."""

Outcome = Conversation | Rejected | Failure
_RECORDS: dict[str, type[Outcome]] = {
    "conversations.jsonl": Conversation,
    "rejected.jsonl": Rejected,
    "failures.jsonl": Failure,
}
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Opened:
    """A run folder that is open in the viewer.

    Attributes:
        key: The run's name in addresses, which is never a path.
        run: The run's records.
        index: The index of the run.
    """

    key: str
    run: Run
    index: Index

    @cached_property
    def scanner(self) -> Scanner:
        """The scanner that keeps the index up to date."""
        return Scanner(self.run, self.index)

    @property
    def manifest(self) -> dict[str, Any]:
        """The run's current manifest, which changes during the run; empty if it cannot be read."""
        try:
            return self.run.manifest
        except RunFolderError:
            return {}

    @property
    def name(self) -> str:
        """The run's key, followed by the name of the experiment if the two differ."""
        name = str(self.manifest.get("name") or self.key)
        return name if name == self.key else f"{self.key} ({name})"

    @cached_property
    def prices(self) -> Prices:
        """The prices for the run's model calls."""
        return Prices(self.run)

    def outcome(self, name: str) -> Outcome | None:
        """Return the conversation, rejected conversation or failure with this id, or None if the
        index does not contain it.

        Raises `RunFolderError` if the row has changed since it was indexed.
        """
        with reading([self.index]) as connection:
            row = connection.execute(
                "select file, offset, length from r0.item where id = ? order by number limit 1",
                (name,),
            ).fetchone()
        if row is None:
            return None
        return self._record(row["file"], row["offset"], row["length"], _RECORDS[row["file"]])

    def experience(self, name: str | None) -> Experience | None:
        """Return the experience with this id; None if the run does not contain it."""
        with reading([self.index]) as connection:
            row = connection.execute(
                "select offset, length from r0.experience where id = ?", (name,)
            ).fetchone()
        if row is None:
            return None
        return self._record("experiences.jsonl", row["offset"], row["length"], Experience)

    def scores(self, conversation: str) -> list[Score]:
        """Return all judges' scores for a conversation, with `judge` set from the file name."""
        with reading([self.index]) as connection:
            rows = connection.execute(
                "select c.judge, s.offset, s.length from r0.score s "
                "join r0.scale c on c.number = s.scale where s.conversation = ? order by c.number",
                (conversation,),
            ).fetchall()
        found: list[Score] = []
        for row in rows:
            score = self._record(
                f"scores/{row['judge']}.jsonl", row["offset"], row["length"], Score
            )
            found.append(score.model_copy(update={"judge": row["judge"]}))
        return found

    def at(self, file: str, offset: int, length: int) -> Outcome:
        """Return the record at an indexed position."""
        return self._record(file, offset, length, _RECORDS[file])

    def _record(self, file: str, offset: int, length: int, record: type[R]) -> R:
        path = self.run.folder / file
        try:
            return record.model_validate_json(line_at(path, offset, length))
        except (OSError, ValidationError) as error:
            raise RunFolderError(
                f"{path.name}: the file has changed since it was indexed and is being reindexed"
            ) from error


def open_runs(folders: Sequence[Path], indexes: Path) -> list[Opened]:
    """Open run folders, with their indexes in the folder `indexes`.

    Raises `UserError` if a folder is not a run, or there are too many runs.
    """
    distinct = list({folder.resolve(): folder for folder in folders}.values())
    if len(distinct) > MOST_RUNS:
        raise UserError(
            f"view: {len(distinct)} runs are too many; specify at most {MOST_RUNS} runs"
        )
    runs = [load_unchecked(folder) for folder in distinct]
    keys = _keys(run.folder.resolve().name for run in runs)
    return [
        Opened(key, run, Index(index_path(indexes, run.folder)))
        for key, run in zip(keys, runs, strict=True)
    ]


def _keys(names: Iterable[str]) -> list[str]:
    """Return a short, unique key for each name."""
    keys: list[str] = []
    for name in names:
        short = re.sub(r"[^\w.-]+", "-", name)[:60].strip("-.") or "run"
        key, number = short, 1
        while key in keys:
            number += 1
            key = f"{short}-{number}"
        keys.append(key)
    return keys
