"""The index of a run: an SQLite file for searching, filtering and sorting.

The index is in the user's cache, never in the run folder. A run folder may belong to somebody else,
be read-only, or be on a network drive, where SQLite's locks are unreliable. The full text is not
copied: the index stores the position of each record in the run's files. The index can be deleted at
any time, and is deleted after a month without use.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock

from convogen.storage.cache import cache_location, writable_cache

__all__ = ["Index", "cache_folder", "index_folder", "index_path", "reading"]

CACHE = "viewer"
"""The name of the folder with the indexes in the cache."""

VERSION = 1
"""Version of the index's content, to be incremented when the content changes."""

KEPT_DAYS = 30
BUSY_S = 20.0

_TABLES = """
create table file(name text primary key, offset integer not null, rows integer not null,
  mark blob not null) without rowid;
create table damaged(file text not null, line integer not null, why text not null);
create table item(
  number integer primary key, status text not null, why text not null, id text not null,
  task integer, experience text, pair text, file text not null, offset integer not null,
  length integer not null, topic text not null, people text not null, n_turns integer not null,
  n_words integer, language text, preview text not null);
create index item_id on item(id);
create index item_task on item(task);
create index item_experience on item(experience);
create index item_pair on item(pair);
create index item_status on item(status, why);
create index item_turns on item(n_turns);
create index item_words on item(n_words);
create index item_language on item(language);
create table turn_check(what text, fault text, item integer, primary key(what, fault, item))
  without rowid;
create table experience(
  id text primary key, task integer, offset integer not null, length integer not null,
  topic text not null, admitted integer);
create index experience_task on experience(task);
create table shot(child text not null, parent text not null, primary key(child, parent))
  without rowid;
create index shot_parent on shot(parent);
create table scale(number integer primary key, judge text not null, aspect text not null,
  unique(judge, aspect));
create table score(scale integer, conversation text, value real, offset integer not null,
  length integer not null, primary key(scale, conversation)) without rowid;
create index score_conversation on score(conversation);
create index score_value on score(scale, value);
create table spent(role text, model text, calls integer not null, prompt_tokens integer not null,
  completion_tokens integer not null, cached_tokens integer not null, usd real,
  primary key(role, model)) without rowid;
create table pace(slot integer primary key, tasks integer not null);
create virtual table words using fts5(scene, people, said, content='', columnsize=0,
  tokenize="unicode61 remove_diacritics 2");
"""
# `status` is accepted, broken, rejected or failed; `why` is a fault, a gate, or a stage and kind.


class Index:
    """The index of one run; each use opens its own connection.

    Args:
        path: The SQLite file; it is recreated if it is missing, damaged or from another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._making = Lock()
        self.ensure()
        os.utime(path)

    def ensure(self) -> None:
        """Create the file if it is missing or unusable."""
        with self._making:
            try:
                if self.path.exists() and self._version() == VERSION:
                    return
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                pass
            self._make()

    def renew(self) -> None:
        """Replace the file with an empty index, after SQLite has reported that it is damaged."""
        with self._making:
            self._make()

    def _version(self) -> int:
        with self.writing() as connection:
            return connection.execute("pragma user_version").fetchone()[0]

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with self.writing() as made:
            made.execute("pragma journal_mode = wal")
            made.executescript(f"begin; {_TABLES} pragma user_version = {VERSION}; commit;")
        self.path.chmod(0o600)

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """Yield a connection without an open transaction; callers begin one if needed."""
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        with closing(connection):
            connection.execute("pragma synchronous = normal")
            yield connection

    def clear(self, connection: sqlite3.Connection) -> None:
        """Delete all rows within the connection's transaction."""
        tables = ("file", "damaged", "item", "turn_check", "experience", "shot", "scale", "score")
        for table in (*tables, "spent", "pace"):
            connection.execute(f"delete from {table}")
        connection.execute("insert into words(words) values('delete-all')")


@contextmanager
def reading(indexes: Sequence[Index]) -> Generator[sqlite3.Connection]:
    """Yield a read-only connection to several indexes, whose tables are `r0.item`, `r1.item`, …

    Raises `sqlite3.OperationalError` if an index was deleted; `Index.ensure` recreates it.
    """
    connection = sqlite3.connect(":memory:", timeout=BUSY_S, isolation_level=None, uri=True)
    with closing(connection):
        connection.row_factory = sqlite3.Row
        for number, index in enumerate(indexes):
            connection.execute(
                f"attach ? as r{number}", (f"{index.path.absolute().as_uri()}?mode=rw",)
            )
        connection.execute("pragma query_only = on")
        yield connection


def cache_folder() -> Path:
    """Return the location of the indexes in the user's cache."""
    return cache_location(CACHE)


def index_folder() -> Path:
    """Delete indexes that have not been used for a month, and return the folder of the indexes.

    The folder is in the user's cache or, if the cache is not writable, is a temporary folder for
    this process.
    """
    folder = writable_cache(CACHE)
    oldest = time.time() - KEPT_DAYS * 86_400
    for path in folder.glob("*.sqlite*"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
    return folder


def index_path(folder: Path, run: Path) -> Path:
    """Return the path of a run's index in a folder."""
    name = hashlib.blake2b(str(run.resolve()).encode(errors="surrogateescape"), digest_size=12)
    return folder / f"{name.hexdigest()}.sqlite"
