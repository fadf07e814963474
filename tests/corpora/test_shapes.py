"""Any text is read back unchanged, in any common shape, container and encoding."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.errors import SourceError

Chats = list[list[tuple[str, str]]]

HOSTILE = "\",;\n\t|:'{}[]\\\u2028\x85\u200e\ufeff<>#*_1a Z\u4f60"
TEXT = st.text(
    st.sampled_from(HOSTILE) | st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"),
    min_size=1,
    max_size=40,
).filter(lambda text: bool(text.strip()))
NAMES = st.sampled_from(
    ["Ida", "Tom", "user", "assistant", "#Person1#", "Zo\u00eb, the 2nd", "\u4e59"]
)
CHATS = st.lists(st.lists(st.tuples(NAMES, TEXT), min_size=1, max_size=4), min_size=1, max_size=4)


def listing(key: str, speaker: str, text: str) -> Callable[[Chats], list[Any]]:
    def rows(chats: Chats) -> list[Any]:
        return [{key: [{speaker: who, text: said} for who, said in chat]} for chat in chats]

    return rows


def columns(chats: Chats) -> list[Any]:
    return [
        {"turns": {"speaker": [who for who, _ in chat], "text": [said for _, said in chat]}}
        for chat in chats
    ]


def parallel(chats: Chats) -> list[Any]:
    return [
        {"dialogue": [said for _, said in chat], "speakers": [who for who, _ in chat]}
        for chat in chats
    ]


SHAPES: dict[str, Callable[[Chats], list[Any]]] = {
    "turns": listing("turns", "speaker", "text"),
    "sharegpt": listing("conversations", "from", "value"),
    "messages": listing("messages", "role", "content"),
    "mixed": listing("messages", "from", "value"),
    "dialogue": listing("dialogue", "agent", "message"),
    "Topical-Chat": listing("content", "agent", "message"),
    "meeting": listing("meeting_transcripts", "speaker", "content"),
    "columns": columns,
    "SODA": parallel,
}
CONTAINERS: dict[str, Callable[[list[Any]], str]] = {
    "lines.jsonl": lambda rows: "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows),
    "crlf.ndjson": lambda rows: "".join(json.dumps(r, ensure_ascii=False) + "\r\n" for r in rows),
    "array.json": json.dumps,
    "array.jsonl": lambda rows: json.dumps(rows, ensure_ascii=False, indent=1),
    "pretty.json": lambda rows: "".join(json.dumps(r, indent=2) for r in rows),
    "split.json": lambda rows: json.dumps({"train": rows, "test": []}),
    "ids": lambda rows: json.dumps({f"c{at}": row for at, row in enumerate(rows)}),
    "data.json": lambda rows: json.dumps({"version": 1, "tags": ["x"], "data": rows}, indent=1),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
IN_FOLDER = [HealthCheck.function_scoped_fixture]


def read(path: Path) -> Chats:
    corpus = open_corpus(path, strict=True)
    return [[(turn.speaker, turn.text) for turn in one.turns] for one in corpus]


@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None, max_examples=60, suppress_health_check=IN_FOLDER)
@given(
    chats=CHATS,
    container=st.sampled_from(sorted(CONTAINERS)),
    packed=st.sampled_from(sorted(PACKED)),
    encoding=st.sampled_from(ENCODINGS),
)
def test_json_of_any_shape_comes_back(
    shape: str, tmp_path: Path, chats: Chats, container: str, packed: str, encoding: str
) -> None:
    path = tmp_path / container
    text = CONTAINERS[container](SHAPES[shape](chats))
    path.write_bytes(PACKED[packed](text.encode(encoding)))
    assert read(path) == chats


@settings(deadline=None, max_examples=80, suppress_health_check=IN_FOLDER)
@given(chats=CHATS, delimiter=st.sampled_from(",;\t|"), data=st.data())
def test_rows_of_a_table_come_back_in_whatever_order_they_stand(
    tmp_path: Path, chats: Chats, delimiter: str, data: st.DataObject
) -> None:
    rows = [
        (f"c{chat}", turn, who, said)
        for chat, turns in enumerate(chats)
        for turn, (who, said) in enumerate(turns)
    ]
    order: list[tuple[str, int, str, str]] = data.draw(st.permutations(rows))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["conversation_id", "turn", "speaker", "text"])
    writer.writerows(order)
    path = tmp_path / "table.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found = {
        one.id: [(turn.speaker, turn.text) for turn in one.turns]
        for one in open_corpus(path, strict=True)
    }
    assert found == {f"c{at}": chat for at, chat in enumerate(chats)}


@settings(deadline=None, max_examples=60, suppress_health_check=IN_FOLDER)
@given(chats=CHATS, notation=st.sampled_from(["json", "python"]))
def test_lists_written_into_a_cell_come_back(tmp_path: Path, chats: Chats, notation: str) -> None:
    path = tmp_path / "cells.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "messages"])
        for at, row in enumerate(listing("x", "role", "content")(chats)):
            cell = json.dumps(row["x"]) if notation == "json" else repr(row["x"])
            writer.writerow([at, cell])
    assert read(path) == chats


LINE = TEXT.map(lambda text: " ".join(text.split())).filter(bool)


@settings(deadline=None, max_examples=100, suppress_health_check=IN_FOLDER)
@given(turns=st.lists(st.tuples(st.sampled_from(["Ida", "Tom"]), LINE), min_size=2, max_size=6))
@example(turns=[("Ida", "a: b"), ("Tom", "https://x")])
def test_a_line_of_a_script_is_its_speakers(tmp_path: Path, turns: list[tuple[str, str]]) -> None:
    script = "\n".join(f"{who}: {text}" for who, text in turns)
    path = tmp_path / "script.jsonl"
    path.write_text(json.dumps({"id": "1", "summary": "", "dialogue": script}), "utf-8")
    assert read(path) == [turns]


@settings(deadline=None, max_examples=200, suppress_health_check=IN_FOLDER)
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_bytes_of_any_kind_are_conversations_or_an_error_of_one_line(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(content)
    found, message = [], ""
    try:
        found = list(open_corpus(path))
    except SourceError as error:
        message = str(error)
    assert bool(found) != bool(message)
    assert "\n" not in message
