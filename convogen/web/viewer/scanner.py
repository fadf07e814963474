"""Reads the files of a run into its index, as far as they go, a batch at a time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from convogen.costs.ledger_costs import Prices, usage_of
from convogen.errors import ConvogenError
from convogen.inputs.keys import first_fault
from convogen.jsonl import parse_row
from convogen.models.traffic.journal import check_call
from convogen.records import Conversation, Experience, Failure, Rejected, Score
from convogen.storage.run_folder import Run
from convogen.web.viewer.facts import Facts, facts_of
from convogen.web.viewer.index import Index
from convogen.web.viewer.lines import Line, added, mark_of, size_of
from convogen.web.viewer.text import searchable

__all__ = ["SLOT_S", "Progress", "Scanner"]

BATCH = 400
SLOT_S = 10
"""Seconds in a slot of `pace`."""

_RECORDS: dict[str, type[Conversation | Rejected | Failure]] = {
    "conversations.jsonl": Conversation,
    "rejected.jsonl": Rejected,
    "failures.jsonl": Failure,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the files of a run are read, in bytes; `damaged` rows could not be."""

    done: int
    total: int
    damaged: int

    @property
    def percent(self) -> int:
        """100 only if everything is read."""
        return 100 if self.done >= self.total else 100 * self.done // self.total


class Scanner:
    """Brings the index of a run up to date; several processes may do so at once."""

    def __init__(self, run: Run, index: Index) -> None:
        self.run = run
        self.index = index
        self._prices: Prices | None = None
        self._latest: dict[str, tuple[int, float]] = {}

    def files(self) -> list[str]:
        """Return the names of the files that are read, in the order in which they are."""
        names = ["experiences.jsonl", *_RECORDS, "ledger.jsonl"]
        for judge in self.run.judges():
            names += [f"scores/{judge}.jsonl", f"scores/{judge}/ledger.jsonl"]
        return names

    def progress(self) -> Progress:
        """Return how far the files are read."""
        with self.index.writing() as connection:
            known = dict(connection.execute("select name, offset from file").fetchall())
            (damaged,) = connection.execute("select count(*) from damaged").fetchone()
        sizes = {name: size_of(self.run.folder / name) for name in self.files()}
        done = sum(min(known.get(name, 0), size) for name, size in sizes.items())
        return Progress(done, sum(sizes.values()), damaged)

    def step(self) -> bool:
        """Read a batch of the first file that has more; return whether there was one."""
        self._refuse_changed()
        return any(self._read(name) for name in self.files())

    def catch_up(self) -> None:
        """Read everything that is there."""
        while self.step():
            pass

    def _refuse_changed(self) -> None:
        """Forget what was read of files that did not only grow."""
        with self.index.writing() as connection:
            known = connection.execute("select name, offset, mark from file").fetchall()
            for name, offset, mark in known:
                if mark == mark_of(self.run.folder / name, offset):
                    continue
                connection.execute("begin immediate")
                self.index.clear(connection)
                connection.execute("commit")
                self._latest.clear()
                return

    def _read(self, name: str) -> bool:
        path = self.run.folder / name
        with self.index.writing() as connection:
            connection.execute("begin immediate")
            found = connection.execute("select offset, rows from file where name = ?", (name,))
            offset, rows = found.fetchone() or (0, 0)
            if size_of(path) <= offset:
                connection.execute("rollback")
                return False
            lines = list(islice(added(path, offset), BATCH))
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
        if (record := _RECORDS.get(name)) is not None:
            _items(connection, name, _parsed(connection, name, lines, rows, _parser(record)))
        elif name == "experiences.jsonl":
            _experiences(connection, _parsed(connection, name, lines, rows, _parser(Experience)))
        elif name.endswith("ledger.jsonl"):
            self._ledger(connection, name, _parsed(connection, name, lines, rows, _call))
        else:
            judge = Path(name).stem
            _scores(connection, judge, _parsed(connection, name, lines, rows, _parser(Score)))

    def _ledger(
        self,
        connection: sqlite3.Connection,
        name: str,
        calls: Iterable[tuple[Line, int, dict[str, Any]]],
    ) -> None:
        self._prices = self._prices or Prices(self.run)
        finished: Counter[int] = Counter()
        for _, _, row in calls:
            usage, key = usage_of(row), (row["role"], row["model"])
            price, _ = self._prices.of(*key)
            counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
            usd = price(usage) if price else None
            connection.execute(
                "insert into spent values(?, ?, ?, ?, ?, ?, ?) on conflict do update set "
                "calls = calls + excluded.calls, "
                "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
                "completion_tokens = completion_tokens + excluded.completion_tokens, "
                "cached_tokens = cached_tokens + excluded.cached_tokens, usd = usd + excluded.usd",
                (*key, "lost_attempts" not in row, *counts, usd),
            )
            at = row.get("at")
            if name != "ledger.jsonl" or not isinstance(at, int | float):
                continue
            task, latest = self._latest.get(name, (row["task"], at))
            if row["task"] != task:
                finished[int(latest // SLOT_S)] += 1
                latest = at
            self._latest[name] = (row["task"], max(latest, at))
        connection.executemany(
            "insert into pace values(?, ?) on conflict do update "
            "set tasks = tasks + excluded.tasks",
            finished.items(),
        )


def _parser(record: type[Any]) -> Callable[[bytes], Any]:
    return record.model_validate_json


def _call(line: bytes) -> dict[str, Any]:
    row = parse_row("ledger.jsonl", line, "task")
    check_call("ledger.jsonl", row)
    return row


def _parsed(
    connection: sqlite3.Connection,
    name: str,
    lines: Sequence[Line],
    rows: int,
    parse: Callable[[bytes], Any],
) -> Iterable[tuple[Line, int, Any]]:
    """Yield what lines hold; those that cannot be read are noted with their number, from 1."""
    for number, line in enumerate(lines, rows + 1):
        try:
            yield line, number - 1, parse(line.data)
        except (ValidationError, ConvogenError) as error:
            why = first_fault(error) if isinstance(error, ValidationError) else str(error)
            connection.execute("insert into damaged values(?, ?, ?)", (name, number, why[:300]))


def _items(
    connection: sqlite3.Connection, name: str, records: Iterable[tuple[Line, int, Any]]
) -> None:
    for line, place, record in records:
        facts = facts_of(record, place)
        number = _item(connection, name, line, facts)
        connection.executemany(
            "insert or ignore into turn_check values(?, ?, ?)",
            [(*check, number) for check in facts.checks],
        )
        texts = (facts.scene, "\n".join(facts.people), facts.said)
        connection.execute(
            "insert into words(rowid, scene, people, said) values(?, ?, ?, ?)",
            (number, *map(searchable, texts)),
        )


def _item(connection: sqlite3.Connection, name: str, line: Line, facts: Facts) -> int:
    values = {
        "status": facts.status,
        "why": facts.why,
        "id": facts.id,
        "task": facts.task,
        "experience": facts.experience,
        "pair": facts.pair,
        "file": name,
        "offset": line.offset,
        "length": len(line.data),
        "topic": facts.topic,
        "people": "\n".join(facts.people),
        "n_turns": facts.n_turns,
        "n_words": facts.n_words,
        "language": facts.language,
        "preview": facts.preview,
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    statement = f"insert into item({names}) values({marks})"
    return connection.execute(statement, tuple(values.values())).lastrowid or 0


def _experiences(
    connection: sqlite3.Connection, records: Iterable[tuple[Line, int, Experience]]
) -> None:
    for line, _, experience in records:
        topic = " ".join(experience.topic.split())[:200]
        connection.execute(
            "insert or replace into experience values(?, ?, ?, ?, ?, ?)",
            (
                experience.id,
                experience.task,
                line.offset,
                len(line.data),
                topic,
                experience.admitted,
            ),
        )
        connection.executemany(
            "insert or ignore into shot values(?, ?)",
            [(experience.id, shot) for shot in experience.shots],
        )


def _scores(
    connection: sqlite3.Connection, judge: str, records: Iterable[tuple[Line, int, Score]]
) -> None:
    for line, _, score in records:
        key = (judge, score.aspect)
        connection.execute("insert or ignore into scale(judge, aspect) values(?, ?)", key)
        connection.execute(
            "insert or replace into score select number, ?, ?, ?, ? from scale "
            "where judge = ? and aspect = ?",
            (score.conversation, score.value, line.offset, len(line.data), *key),
        )
