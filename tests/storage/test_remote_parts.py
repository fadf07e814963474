"""Parts of a chain contain exactly what a folder has gained, and none leads out of the folder."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.errors import RunFolderError
from convogen.storage.remote.address import checked_url, is_url
from convogen.storage.remote.parts import Change, Header, Part, decode, encode, safe
from convogen.storage.remote.snapshot import FolderState

NAMES = ("calls.jsonl", "journal/00000001.jsonl", "scores/geval.jsonl", "manifest.json")

write = st.tuples(
    st.sampled_from(["append", "replace", "in place", "truncate", "delete", "rename", "snapshot"]),
    st.sampled_from(NAMES),
    st.binary(max_size=9000) | st.just(b"row\n"),
)


def act(folder: Path, what: str, name: str, content: bytes) -> None:
    """Change a file in one of the ways in which files of a run folder change."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if what == "append":
        with file.open("ab") as opened:
            opened.write(content)
    elif what == "in place":
        file.write_bytes(content)
    elif what == "replace":
        beside = folder / ".beside.new"
        beside.write_bytes(content)
        beside.replace(file)
    elif what == "delete":
        file.unlink(missing_ok=True)
    elif file.exists():
        if what == "truncate":
            with file.open("r+b") as opened:
                opened.truncate(len(content) % (file.stat().st_size + 1))
        else:
            file.replace(folder / NAMES[0])


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def header(number: int, changes: list[Change]) -> Header:
    return Header(number=number, after=None, writer="w", purpose="run", changes=changes)


@settings(max_examples=80)
@given(st.lists(write, max_size=25))
def test_a_copy_that_the_parts_are_applied_to_is_the_folder(writes: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, copy = Path(place, "folder"), Path(place, "copy")
        folder.mkdir()
        ours, theirs = FolderState(), FolderState()
        for number, (what, name, content) in enumerate([*writes, ("snapshot", "", b"")]):
            if what != "snapshot":
                act(folder, what, name, content)
                continue
            ours, changes, pieces = ours.changes(folder, thorough=number == len(writes))
            part = encode(header(number, changes), pieces)
            theirs.apply(decode("part", number, part.encoded), "part", copy)
        assert files(copy) == files(folder)
        assert ours.known() == theirs.known()
        assert theirs.holds(copy) or not files(folder)
        assert not ours.changes(folder, thorough=True)[1]


def test_rows_that_are_appended_are_sent_once(tmp_path: Path) -> None:
    state = FolderState()
    file = tmp_path / "calls.jsonl"
    file.write_bytes(b"row\n" * 5000)
    (tmp_path / ".lock").touch()
    state, _, pieces = state.changes(tmp_path, thorough=False)
    assert [len(piece) for piece in pieces] == [20_000]
    with file.open("ab") as opened:
        opened.write(b"more\n")
    for thorough in (False, True):
        _, changes, pieces = FolderState.changes(state, tmp_path, thorough=thorough)
        assert pieces == [b"more\n"]
        assert changes[0].do == "append"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "",
        "a//b",
        "./a",
        "C:\\x",
        "C:x",
        "a\\..\\b",
        "a\0b",
        "a/",
    ],
)
def test_no_path_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a path within a run folder"):
        safe(path)
    digest = hashlib.sha256(b"x").hexdigest()
    change = {"path": path, "do": "replace", "length": 1, "size": 1, "digest": digest}
    honest = encode(header(0, [Change(**{**change, "path": "name"})]), [b"x"])
    line = honest.header.model_copy(update={"changes": [Change.model_construct(**change)]})
    with pytest.raises(RunFolderError, match="bucket/part: is damaged"):
        decode("bucket/part", 0, encode(line, [b"x"]).encoded)


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_a_path_that_is_accepted_stays_within_the_folder(path: str) -> None:
    try:
        accepted = safe(path)
    except ValueError:
        return
    assert (Path("/run") / accepted).resolve().is_relative_to("/run")
    assert Path("/run") != (Path("/run") / accepted).resolve()


def changed(part: Part, at: int, by: int) -> bytes:
    content = bytearray(part.encoded)
    content[at] ^= by
    return bytes(content)


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    digest = hashlib.sha256(b"row\n").hexdigest()
    change = Change(path="calls.jsonl", do="replace", length=4, size=4, digest=digest)
    part = encode(header(7, [change]), [b"row\n"])
    at = data.draw(st.integers(0, len(part.encoded) - 1))
    damaged = changed(part, at, data.draw(st.integers(1, 255)))
    with pytest.raises(RunFolderError, match=r"s3://b/part: (is damaged|was written by a later)"):
        decode("s3://b/part", 7, damaged)
    with pytest.raises(RunFolderError, match="damaged"):
        decode("s3://b/part", 7, part.encoded[:at])
    assert decode("s3://b/part", 7, part.encoded).pieces == [b"row\n"]
    with pytest.raises(RunFolderError, match="its number is wrong"):
        decode("s3://b/part", 8, part.encoded)


def test_a_part_that_does_not_fit_the_folder_is_refused(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"row\n").hexdigest()
    for change in (
        Change(path="calls.jsonl", do="append", at=4, length=4, size=8, digest=digest),
        Change(path="calls.jsonl", do="replace", length=4, size=4, digest="0" * 64),
    ):
        part = encode(header(0, [change]), [b"row\n"])
        with pytest.raises(RunFolderError, match=r"part: does not continue calls\.jsonl"):
            FolderState().apply(part, "part", tmp_path)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://key:secret@bucket/run", "credentials"),
        ("gs://token@bucket/run", "credentials"),
        ("https://host/run", "cannot be kept on https"),
        ("hf://datasets/a/b", "cannot be kept on hf"),
        ("s3://bucket", "does not name a folder"),
        ("s3://bucket/", "does not name a folder"),
        ("file://", "does not name a folder"),
        ("s3://bucket/../run", "does not name a folder"),
        ("s3://bucket/run?versionId=secret", "must not contain the characters"),
        ("s3://bucket/run[1]", "must not contain the characters"),
        ("simplecache::s3://bucket/run", "chain of file systems"),
    ],
)
def test_urls_that_are_refused(url: str, why: str) -> None:
    assert is_url(url)
    with pytest.raises(RunFolderError, match=why) as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)


def test_what_is_a_url() -> None:
    assert checked_url("S3://bucket/run//") == "s3://bucket/run"
    for place in ("runs/one", "hf:org/name", "C:\\runs", "./s3:/x", "a b://c", None, Path("s3:/b")):
        assert not is_url(place)
