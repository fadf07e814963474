"""Reads the files of a run into the run's index, in batches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from convogen.costs.ledger_costs import Prices, usage_of
from convogen.errors import ConvogenError
from convogen.inputs.keys import first_fault
from convogen.jsonl import parse_row
from convogen.models.prices import Pricer
from convogen.models.traffic.journal import check_call
from convogen.records import Conversation, Experience, Failure, Rejected, Score
from convogen.storage.run_folder import Run
from convogen.web.viewer.facts import facts_of
from convogen.web.viewer.index import Index
from convogen.web.viewer.lines import Line, added, mark_of, size_of
from convogen.web.viewer.text import searchable

__all__ = ["SLOT_S", "Progress", "Scanner"]

BATCH, FIRST = 400, 100
"""Number of rows in a batch, and number read from each file before the first page is shown."""

SLOT_S = 10
"""Length of a slot in the `pace` table, in seconds."""

_RECORDS: dict[str, type[Conversation | Rejected | Failure]] = {
    "conversations.jsonl": Conversation,
    "rejected.jsonl": Rejected,
    "failures.jsonl": Failure,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The number of bytes read from a run's files, their total size, and the number of damaged
    rows."""

    done: int
    total: int
    damaged: int

    @property
    def percent(self) -> int:
        """Percentage of bytes read; 100 only if everything has been read."""
        return 100 if self.done >= self.total else 100 * self.done // self.total


class Scanner:
    """Updates the index of a run; several processes may do so at the same time."""

    def __init__(self, run: Run, index: Index) -> None:
        self.run = run
        self.index = index
        self._prices: Prices | None = None
        self._latest: tuple[int, float] | None = None

    def files(self) -> list[str]:
        """Return the names of the run's files, in the order in which they are read."""
        names = ["experiences.jsonl", *_RECORDS, "ledger.jsonl"]
        for judge in self.run.judges():
            names += [f"scores/{judge}.jsonl", f"scores/{judge}/ledger.jsonl"]
        return names

    def progress(self) -> Progress:
        """Return how much of the run's files has been read."""
        with self.index.writing() as connection:
            known = dict(connection.execute("select name, offset from file").fetchall())
            (damaged,) = connection.execute("select count(*) from damaged").fetchone()
        sizes = {name: size_of(self.run.folder / name) for name in self.files()}
        done = sum(min(known.get(name, 0), size) for name, size in sizes.items())
        return Progress(done, sum(sizes.values()), damaged)

    def begin(self) -> None:
        """Read the first rows of each file, so that the first page has something to show."""
        try:
            self._refuse_changed()
            for name in self.files():
                self._read(name, FIRST)
        except sqlite3.DatabaseError as error:
            self.recover(error)

    def step(self) -> bool:
        """Read a batch from the first file with unread rows; return False if no rows are left."""
        try:
            self._refuse_changed()
            return any(self._read(name, BATCH) for name in self.files())
        except sqlite3.DatabaseError as error:
            self.recover(error)
            return True

    def recover(self, error: sqlite3.DatabaseError) -> None:
        """Start over with an empty index if the error means that the index is damaged; otherwise
        raise the error."""
        if isinstance(error, sqlite3.OperationalError):  # busy, full or not writable
            raise error
        self.index.renew()
        self._latest = None

    def catch_up(self) -> None:
        """Read all rows that are available."""
        while self.step():
            pass

    def _refuse_changed(self) -> None:
        """Clear the index if a file has changed other than by growing."""
        self.index.ensure()
        with self.index.writing() as connection:
            known = connection.execute("select name, offset, mark from file").fetchall()
            for name, offset, mark in known:
                if mark == mark_of(self.run.folder / name, offset):
                    continue
                connection.execute("begin immediate")
                self.index.clear(connection)
                connection.execute("commit")
                self._latest = None
                return

    def _read(self, name: str, most: int) -> bool:
        path = self.run.folder / name
        with self.index.writing() as connection:
            connection.execute("begin immediate")
            found = connection.execute("select offset, rows from file where name = ?", (name,))
            offset, rows = found.fetchone() or (0, 0)
            lines = list(islice(added(path, offset), most)) if size_of(path) > offset else []
            if not lines:
                connection.execute("rollback")
                return False
            self._take(connection, name, lines, rows)
            end = lines[-1].end
            connection.execute(
                "insert or replace into file values(?, ?, ?, ?)",
                (name, end, rows + len(lines), mark_of(path, end)),
            )
            connection.execute("commit")
        return True

    def _take(
        self, connection: sqlite3.Connection, name: str, lines: Sequence[Line], rows: int
    ) -> None:
        """Store the records in lines; for unreadable lines, store the line number and the error."""
        parse, store = self._kind(name)
        for number, line in enumerate(lines, rows + 1):
            try:
                store(connection, Row(name, number - 1, line, parse(line.data)))
            except (ValidationError, ConvogenError, OverflowError) as error:
                why = first_fault(error) if isinstance(error, ValidationError) else str(error)
                known = (name, number, why[:300])
                connection.execute("insert into damaged values(?, ?, ?)", known)

    def _kind(self, name: str) -> tuple[Callable[[bytes], Any], Store]:
        """Return the function that parses a file's rows, and the function that stores them."""
        if name in _RECORDS:
            return _RECORDS[name].model_validate_json, _store_item
        if name == "experiences.jsonl":
            return Experience.model_validate_json, _store_experience
        if name.endswith("ledger.jsonl"):
            return _call, self._store_call
        return Score.model_validate_json, _store_score

    def _store_call(self, connection: sqlite3.Connection, row: Row) -> None:
        call: dict[str, Any] = row.record
        usage, key = usage_of(call), (call["role"], call["model"])
        price = self._pricer(*key)
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        connection.execute(
            "insert into spent values(?, ?, ?, ?, ?, ?, ?) on conflict do update set "
            "calls = calls + excluded.calls, "
            "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
            "completion_tokens = completion_tokens + excluded.completion_tokens, "
            "cached_tokens = cached_tokens + excluded.cached_tokens, usd = usd + excluded.usd",
            (*key, "lost_attempts" not in call, *counts, price(usage) if price else None),
        )
        if row.file == "ledger.jsonl":
            self._store_pace(connection, call)

    def _store_pace(self, connection: sqlite3.Connection, call: Mapping[str, Any]) -> None:
        """Count a task as soon as the ledger contains a model call for the next task."""
        at = call.get("at")
        if not isinstance(at, int | float) or not 0 <= at < 1e12:
            return
        task, latest = self._latest or (call["task"], at)
        if call["task"] != task:
            connection.execute(
                "insert into pace values(?, 1) on conflict do update set tasks = tasks + 1",
                (int(latest // SLOT_S),),
            )
            latest = at
        self._latest = (call["task"], max(latest, at))

    def _pricer(self, role: str, model: str) -> Pricer | None:
        """Return the function that prices a model call, or None if the price is unknown."""
        try:
            self._prices = self._prices or Prices(self.run)
        except ConvogenError:
            return None
        return self._prices.of(role, model)[0]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file; `place` is its index, counted from 0."""

    file: str
    place: int
    line: Line
    record: Any


Store = Callable[[sqlite3.Connection, Row], None]


def _call(line: bytes) -> dict[str, Any]:
    row = parse_row("ledger.jsonl", line, "task")
    check_call("ledger.jsonl", row)
    return row


def _store_item(connection: sqlite3.Connection, row: Row) -> None:
    facts = facts_of(row.record, row.place)
    values = {
        "status": facts.status,
        "why": facts.why,
        "id": facts.id,
        "task": facts.task,
        "experience": facts.experience,
        "pair": facts.pair,
        "file": row.file,
        "offset": row.line.offset,
        "length": len(row.line.data),
        "topic": facts.topic,
        "people": "\n".join(facts.people),
        "n_turns": facts.n_turns,
        "n_words": facts.n_words,
        "language": facts.language,
        "preview": facts.preview,
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    statement = f"insert into item({names}) values({marks})"
    number = connection.execute(statement, tuple(values.values())).lastrowid
    connection.executemany(
        "insert or ignore into turn_check values(?, ?, ?)",
        [(*check, number) for check in facts.checks],
    )
    texts = (facts.scene, "\n".join(facts.people), facts.said)
    connection.execute(
        "insert into words(rowid, scene, people, said) values(?, ?, ?, ?)",
        (number, *map(searchable, texts)),
    )


def _store_experience(connection: sqlite3.Connection, row: Row) -> None:
    experience: Experience = row.record
    known = (experience.id, experience.task, row.line.offset, len(row.line.data))
    connection.execute(
        "insert or replace into experience values(?, ?, ?, ?, ?, ?)",
        (*known, " ".join(experience.topic.split())[:200], experience.admitted),
    )
    connection.executemany(
        "insert or ignore into shot values(?, ?)",
        [(experience.id, shot) for shot in experience.shots],
    )


def _store_score(connection: sqlite3.Connection, row: Row) -> None:
    score: Score = row.record
    key = (Path(row.file).stem, score.aspect)
    connection.execute("insert or ignore into scale(judge, aspect) values(?, ?)", key)
    connection.execute(
        "insert or replace into score select number, ?, ?, ?, ? from scale "
        "where judge = ? and aspect = ?",
        (score.conversation, score.value, row.line.offset, len(row.line.data), *key),
    )
