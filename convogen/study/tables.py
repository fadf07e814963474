"""The database tables of a study, and the records read from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convogen.records import Turn

__all__ = ["SCHEMA", "Answer", "Participant", "Said"]

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE dialogue (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE participant (
    id TEXT PRIMARY KEY, place INTEGER UNIQUE NOT NULL, code BLOB UNIQUE
) STRICT;
CREATE TABLE item (
    participant TEXT NOT NULL REFERENCES participant, position INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (participant, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    token BLOB PRIMARY KEY, participant TEXT NOT NULL REFERENCES participant
) STRICT, WITHOUT ROWID;
CREATE TABLE shown (
    participant TEXT NOT NULL REFERENCES participant, step TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (participant, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE answer (
    participant TEXT NOT NULL REFERENCES participant, step TEXT NOT NULL, body TEXT NOT NULL,
    seconds REAL NOT NULL, at REAL NOT NULL, PRIMARY KEY (participant, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    participant TEXT NOT NULL REFERENCES participant, item INTEGER NOT NULL, nth INTEGER NOT NULL,
    turn TEXT NOT NULL, at REAL NOT NULL, fault TEXT, PRIMARY KEY (participant, item, nth)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant; `place` is an index from 0, and a `withdrawn` participant has no data left."""

    id: str
    place: int
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A participant's answer to a step.

    Attributes:
        body: The answer, in the step's format.
        seconds: Seconds from the page's first delivery to the answer's arrival.
        at: Time of arrival, in seconds since 1970.
    """

    body: dict[str, Any]
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Said:
    """A message in a chat; `fault` says why an attempt to get a reply failed, if one did."""

    turn: Turn
    at: float
    fault: str | None
