"""The store for participants' answers: an SQLite file, written before an answer is acknowledged.

The file uses write-ahead logging with full synchronisation, so an acknowledged answer survives a
crash of the process or the machine. Each participant goes through steps in order, and only the
first answer to a step is kept. About a participant, the file contains only answers, messages,
times, and hashes of the code and of session tokens.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convogen.errors import SourceError
from convogen.records import Conversation, Turn
from convogen.study.codes import digest
from convogen.study.tables import SCHEMA, Answer, Participant, Said

__all__ = ["STORE_FILE", "Store"]

STORE_FILE = "study.db"

_FORMAT = 1

_PERSONAL = ("item", "session", "shown", "answer", "message")
"""Tables from which the rows of a withdrawn participant are deleted."""

_KNOWN = "SELECT 1 FROM participant WHERE id = ? AND code IS NOT NULL"
"""SQL query that finds a participant who has not withdrawn. It guards inserts, so that no row is
added after a withdrawal."""

_ANSWER = """
INSERT OR IGNORE INTO answer
SELECT :who, :step, :body, max(0, :now - coalesce(
    (SELECT at FROM shown WHERE participant = :who AND step = :step), :now
)), :now
WHERE EXISTS (SELECT 1 FROM participant WHERE id = :who AND code IS NOT NULL)
"""
"""SQL that inserts an answer with the seconds since the step was first shown."""


class Store:
    """The store of one study. Methods may be called from any thread, and writes are serialised."""

    def __init__(self, path: Path) -> None:
        """Open a store, or raise `SourceError` if it is missing or cannot be read."""
        if not path.is_file():
            raise SourceError(f"{path}: is missing; create a study with `convogen study new`")
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=10, check_same_thread=False)
            self._db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                "PRAGMA secure_delete = ON;"
            )
            written = self.meta("format")
        except sqlite3.Error as error:
            raise SourceError(f"{path}: cannot be read: {error}") from error
        if written != _FORMAT:
            raise SourceError(
                f"{path}: has format {written!r:.20}, but this version of convogen reads only "
                f"format {_FORMAT}"
            )

    @classmethod
    def create(cls, path: Path, codes: Mapping[str, str]) -> Store:
        """Create a store with participants; `codes` maps their names to their codes."""
        path.touch(0o600, exist_ok=False)
        db = sqlite3.connect(path)
        with db:
            db.executescript(SCHEMA)
            known = {"format": _FORMAT, "study": secrets.token_hex(16)}
            db.executemany(
                "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in known.items()]
            )
            db.executemany(
                "INSERT INTO participant VALUES (?, ?, ?)",
                [(name, at, digest(code)) for at, (name, code) in enumerate(codes.items())],
            )
        db.close()
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        """Open a transaction for the block; its rows are on disk when the block ends."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def meta(self, key: str) -> Any:
        """Return a property of the study, or None if it is not set."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: Any) -> None:
        """Record a property of the study."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, json.dumps(value)])

    def add_dialogues(self, dialogues: Iterable[Conversation]) -> None:
        """Add dialogues to show, replacing any with the same id."""
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO dialogue VALUES (?, ?)",
                ((one.id, one.model_dump_json(exclude_none=True)) for one in dialogues),
            )

    def plan(
        self, planned: Mapping[str, Any], items: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> None:
        """Replace all participants' items, and record the design from which they were planned."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('planned', ?)", [json.dumps(planned)])
            db.execute("DELETE FROM item")
            db.executemany(
                f"INSERT INTO item SELECT ?, ?, ? WHERE EXISTS ({_KNOWN})",
                (
                    (participant, position, _json(item), participant)
                    for participant, own in items.items()
                    for position, item in enumerate(own)
                ),
            )

    def items(self, participant: str) -> list[dict[str, Any]]:
        """Return a participant's items, in order."""
        query = "SELECT body FROM item WHERE participant = ? ORDER BY position"
        return [json.loads(body) for (body,) in self._rows(query, participant)]

    def dialogue(self, name: str) -> Conversation:
        """Return the dialogue with this id, or raise `KeyError` if it does not exist."""
        rows = self._rows("SELECT body FROM dialogue WHERE id = ?", name)
        if not rows:
            raise KeyError(name)
        return Conversation.model_validate_json(rows[0][0])

    def dialogue_ids(self) -> list[str]:
        """Return the ids of all dialogues, in order."""
        return [name for (name,) in self._rows("SELECT id FROM dialogue ORDER BY id")]

    def participants(self) -> list[Participant]:
        """Return all participants in order."""
        rows = self._rows("SELECT id, place, code IS NULL FROM participant ORDER BY place")
        return [Participant(name, place, bool(gone)) for name, place, gone in rows]

    def participant(self, name: str) -> Participant:
        """Return the participant with this name; raises `KeyError` if the name is not known."""
        rows = self._rows("SELECT id, place, code IS NULL FROM participant WHERE id = ?", name)
        if not rows:
            raise KeyError(name)
        return Participant(rows[0][0], rows[0][1], bool(rows[0][2]))

    def participant_with(self, code: str) -> str | None:
        """Return the name of the participant with this code; None if the code is not known."""
        rows = self._rows("SELECT id FROM participant WHERE code = ?", digest(code))
        return rows[0][0] if rows else None

    def open_session(self, participant: str) -> str:
        """Open a session for a participant, and return its token."""
        token = secrets.token_hex(24)
        with self._writing() as db:
            db.execute("INSERT INTO session VALUES (?, ?)", (digest(token), participant))
        return token

    def participant_of(self, token: str) -> str | None:
        """Return the name of the participant with this session token, or None if it is invalid."""
        rows = self._rows("SELECT participant FROM session WHERE token = ?", digest(token))
        return rows[0][0] if rows else None

    def close_session(self, token: str) -> None:
        """Invalidate a session token."""
        with self._writing() as db:
            db.execute("DELETE FROM session WHERE token = ?", [digest(token)])

    def show(self, participant: str, step: str) -> None:
        """Record the time at which a step's page is first delivered."""
        if self._rows("SELECT 1 FROM shown WHERE participant = ? AND step = ?", participant, step):
            return
        with self._writing() as db:
            db.execute(
                f"INSERT OR IGNORE INTO shown SELECT ?, ?, ? WHERE EXISTS ({_KNOWN})",
                (participant, step, time.time(), participant),
            )

    def answer(self, participant: str, step: str, body: Mapping[str, Any]) -> bool:
        """Record an answer, and return whether it was recorded.

        An answer is not recorded if the step already has one or the participant has withdrawn.
        """
        with self._writing() as db:
            done = db.execute(
                _ANSWER,
                {"who": participant, "step": step, "body": _json(body), "now": time.time()},
            )
            return done.rowcount == 1

    def answered(self, participant: str) -> set[str]:
        """Return the steps that a participant has answered."""
        rows = self._rows("SELECT step FROM answer WHERE participant = ?", participant)
        return {step for (step,) in rows}

    def answers(self, participant: str) -> dict[str, Answer]:
        """Return a participant's answer to each answered step."""
        query = "SELECT step, body, seconds, at FROM answer WHERE participant = ?"
        return {
            step: Answer(json.loads(body), seconds, at)
            for step, body, seconds, at in self._rows(query, participant)
        }

    def any_answer(self) -> bool:
        """Return whether anybody has answered anything."""
        return bool(self._rows("SELECT 1 FROM answer LIMIT 1"))

    def say(self, participant: str, item: int, nth: int, turn: Turn) -> bool:
        """Record message `nth` of a chat, counted from 0, and return whether it was recorded.

        A message is not recorded if it already exists or the participant has withdrawn.
        """
        with self._writing() as db:
            done = db.execute(
                f"INSERT OR IGNORE INTO message SELECT ?, ?, ?, ?, ?, NULL WHERE EXISTS ({_KNOWN})",
                (participant, item, nth, turn.to_line().decode(), time.time(), participant),
            )
            return done.rowcount == 1

    def set_fault(self, participant: str, item: int, nth: int, fault: str | None) -> None:
        """Record why a message has no reply; None allows the reply to be requested again."""
        with self._writing() as db:
            db.execute(
                "UPDATE message SET fault = ? WHERE participant = ? AND item = ? AND nth = ?",
                (fault, participant, item, nth),
            )

    def chat(self, participant: str, item: int) -> list[Said]:
        """Return the messages of a chat in order."""
        query = (
            "SELECT turn, at, fault FROM message WHERE participant = ? AND item = ? ORDER BY nth"
        )
        rows = self._rows(query, participant, item)
        return [Said(Turn.model_validate_json(turn), at, fault) for turn, at, fault in rows]

    def messages_of(self, participant: str) -> int:
        """Return the number of messages that a participant has written in all chats."""
        query = "SELECT count(*) FROM message WHERE participant = ? AND nth % 2 = 0"
        return self._rows(query, participant)[0][0]

    def forget(self, participant: str) -> None:
        """Delete all data of a participant, and disable the participant's code.

        The deleted rows are overwritten in the file, so that they cannot be recovered from it.
        """
        with self._writing() as db:
            for table in _PERSONAL:
                db.execute(f"DELETE FROM {table} WHERE participant = ?", [participant])  # noqa: S608
            db.execute("UPDATE participant SET code = NULL WHERE id = ?", [participant])
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
