"""Export of conversations as one self-contained page, which needs no network access."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from convogen.errors import SourceError, UserError
from convogen.jsonl import make_folder, refuse_foreign, write_whole
from convogen.web.pages import STATIC, page
from convogen.web.viewer.conversation import ConversationPage, conversation_page
from convogen.web.viewer.formats import FILTERS
from convogen.web.viewer.index import reading
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.query import Query, find

__all__ = ["MOST", "chosen", "export_page", "render"]

MOST = 500
"""Maximum number of conversations on an exported page."""

_MARK = '<meta name="generator" content="convogen view">'
"""Marks a page as written by convogen; a new export may replace such a page."""

_STYLES = (("convogen.web", "base.css"), ("convogen.web.viewer", "viewer.css"))
_SCRIPTS = (("convogen.web.viewer", "viewer.js"), ("convogen.web.viewer", "export.js"))
_ROOM = "select fewer with --search TEXT, --conversation ID (repeatable) or --n N"


def chosen(
    runs: Sequence[Opened], search: str = "", names: Sequence[str] = (), n: int | None = None
) -> list[ConversationPage]:
    """Return the conversations to export.

    These are the conversations in `names` or, if `names` is empty, all accepted and broken
    conversations that match the search.

    Args:
        runs: The runs, which are read only as far as needed.
        search: Search text, as on the list page; not used if `names` are given.
        names: Ids of conversations, rejected conversations or failures.
        n: Maximum number of conversations; the first ones are kept.

    Raises:
        SourceError: An id does not exist, or there is no conversation to show.
        UserError: There are more than `MOST` conversations.
    """
    wanted = MOST + 1 if n is None else n
    try:
        found = _named(runs, names) if names else _found(runs, search, wanted)
    except sqlite3.DatabaseError as error:
        for opened in runs:
            opened.scanner.recover(error)
        found = _named(runs, names) if names else _found(runs, search, wanted)
    if len(found) > MOST:
        raise UserError(f"--export: a page can contain at most {MOST} conversations; {_ROOM}")
    if not found:
        raise SourceError(
            f"--export: no conversation matches --search {search!r}"
            if search
            else "--export: no conversation to show; to show rejected conversations or failures, "
            "name them with --conversation"
        )
    return [_page(number, *one) for number, one in enumerate(found[:wanted], 1)]


def _page(number: int, opened: Opened, name: str) -> ConversationPage:
    outcome = opened.outcome(name)
    assert outcome is not None, "the index names it"
    return conversation_page(opened, name, outcome, f"c{number}-")


def _named(runs: Sequence[Opened], names: Sequence[str]) -> list[tuple[Opened, str]]:
    found: list[tuple[Opened, str]] = []
    for name in names:
        matches = [(opened, name) for opened in runs if _has(opened, name)]
        if not matches:
            raise SourceError(f"--conversation {name}: no run contains a conversation with this id")
        found += matches
    return found


def _has(opened: Opened, name: str) -> bool:
    while opened.outcome(name) is None:
        if not opened.scanner.step():
            return False
    return True


def _found(runs: Sequence[Opened], search: str, most: int) -> list[tuple[Opened, str]]:
    query = Query(text=search, status="kept")
    for opened in runs:
        while len(_rows([opened], query, most)) < most and opened.scanner.step():
            pass
    return _rows(runs, query, most)


def _rows(runs: Sequence[Opened], query: Query, most: int) -> list[tuple[Opened, str]]:
    with reading([opened.index for opened in runs]) as connection:
        rows = find(connection, range(len(runs)), query, most)
    return [(runs[row.run], row.id) for row in rows]


def render(pages: Sequence[ConversationPage]) -> str:
    """Return the page, whose content security policy allows only its own style and script."""
    style, script = _text(_STYLES), _text(_SCRIPTS)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return bytes(
        page(
            "convogen.web.viewer",
            "export.html",
            pages=pages,
            runs=list(dict.fromkeys(shown.run for shown in pages)),
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            **FILTERS,
        ).body
    ).decode()


def export_page(path: Path, pages: Sequence[ConversationPage]) -> None:
    """Write the page.

    Raises `RunFolderError` if the file is not writable, or exists but is not an exported page.
    """
    make_folder(path.parent)
    refuse_foreign(path, lambda text: _MARK in text)
    write_whole(path, render(pages))


def _text(sources: Sequence[tuple[str, str]]) -> str:
    return "\n".join(
        (files(package) / STATIC / name).read_text("utf-8") for package, name in sources
    )


def _hash(text: str) -> str:
    """Return a text's digest in the notation of a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
