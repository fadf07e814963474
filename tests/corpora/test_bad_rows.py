"""Untrusted input: each bad row is reported and counted, and never aborts reading or exhausts
memory."""

from __future__ import annotations

import json
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.corpora import Batch, Reader, open_corpus
from convogen.corpora.rows import MAX_ROW_BYTES, Row
from convogen.errors import SourceError
from convogen.plugins import registry

GOOD = '{"turns": [{"speaker": "a", "text": "b"}]}\n'


def bad(path: Path, content: str | bytes) -> list[str]:
    """Return the messages about the bad rows in a file, in which good rows surround the content."""
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(GOOD.encode() + content + b"\n" + GOOD.encode())
    corpus = open_corpus(path)
    assert len(list(corpus)) == 2
    assert corpus.bad_rows.count == 1
    (row,) = corpus.bad_rows.first
    assert (row.source, row.line) == (str(path), 2)
    return [row.message]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{broken", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"turns": "\xff"}', "not UTF-8"),
        ('{"turns": []}', "no turns"),
        ('{"turns": [1]}', "turn 1 must be an object, not int"),
        ('{"turns": [{"speaker": "a"}]}', "turn 1 must have a text; its keys are 'speaker'"),
        ('{"messages": []}', "must have a list of turns under a key such as 'turns'"),
        ('{"turns": [{"speaker": "a", "text": "\\ud800"}]}', "surrogate"),
        ("7", "the row must be an object, not int"),
        (
            '{"turns": [' + '{"speaker": "a", "text": "b"},' * 10_000 + "{}]}",
            "no speaker: 'speaker' in turn 10001",
        ),
        (
            '{"turns": [' + ", ".join(['{"speaker": "a", "text": "b"}'] * 10_001) + "]}",
            "10001 turns",
        ),
    ],
)
def test_a_bad_row_is_named_and_the_rest_is_read(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    assert message in bad(tmp_path / "data.jsonl", content)[0]


def test_a_row_longer_than_the_limit_is_not_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(GOOD.encode() + b"x" * (4 * MAX_ROW_BYTES) + b"\n" + GOOD.encode())
    tracemalloc.start()
    try:
        corpus = open_corpus(path)
        assert len(list(corpus)) == 2
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_ROW_BYTES
    finally:
        tracemalloc.stop()
    assert "longer than" in corpus.bad_rows.first[0].message


def test_strict_makes_the_first_bad_row_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(GOOD + "{broken\n" + GOOD, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        list(open_corpus(path, strict=True))
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ")
    assert "\n" not in message
    assert "'turns'" in message


def test_long_rows_make_small_batches(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    row = json.dumps({"turns": [{"speaker": "a", "text": "x" * 2**20}]}) + "\n"
    path.write_text(row * 40, encoding="utf-8")
    batches = list(open_corpus(path).batches(256))
    assert max(len(batch.groups) for batch in batches) <= 9
    assert [batch.start for batch in batches] == list(range(0, 40, 8))
    assert sum(len(batch.read()[0]) for batch in batches) == 40


def test_only_the_first_bad_rows_are_kept_but_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(GOOD + "{\n" * 1_000, encoding="utf-8")
    corpus = open_corpus(path)
    list(corpus)
    assert corpus.bad_rows.count == 1_000
    assert len(corpus.bad_rows.first) == 100
    list(corpus)
    assert corpus.bad_rows.count == 1_000


def test_nested_conversations_that_cannot_be_read_are_not_counted_as_messages(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nested.jsonl"
    good = {"turns": [{"speaker": name, "text": "Hello there."} for name in ("Ida", "Tom")]}
    path.write_text(2 * (json.dumps({"dialogues": [good, {"x": 1}]}) + "\n"), "utf-8")
    corpus = open_corpus(path)
    assert len(list(corpus)) == 2
    assert [line for line in corpus.warnings() if "left out" in line] == [
        f"{path}: 2 nested conversations left out because of errors"
    ]


def test_a_broken_array_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(f"[{GOOD},\n{GOOD},\n oops]", encoding="utf-8")
    corpus = open_corpus(path)
    assert len(list(corpus)) == 2
    assert "the rest of the file is not read" in corpus.bad_rows.first[0].message
    assert corpus.bad_rows.first[0].line == 5


def test_a_cut_off_gzip_gives_what_came_before(tmp_path: Path) -> None:
    import gzip
    import random

    rng = random.Random(0)
    rows = [{"turns": [{"speaker": "a", "text": str(rng.random())}]} for _ in range(20_000)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(packed[: len(packed) * 9 // 10])
    corpus = open_corpus(path)
    assert 0 < len(list(corpus)) < 20_000
    assert "the file cannot be read from here on" in corpus.bad_rows.first[0].message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", "  \n", "empty"),
        ("prose.txt", "Once upon a time\n", "the first rows are not in"),
        ("odd.json", '{"version": 1}', "the first rows are not in"),
    ],
)
def test_a_file_that_is_no_corpus_is_refused_in_one_line(
    name: str, content: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=message) as caught:
        open_corpus(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_format_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="personachat"):
        open_corpus(tmp_path, "chat")


def test_a_folder_without_conversations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"conversations\.jsonl"):
        open_corpus(tmp_path)


def test_reading_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    row = json.dumps({"turns": [{"speaker": "a", "text": "word " * 1_600}]}) + "\n"
    array = tmp_path / "large.json"
    path.write_text(row * 1_500, encoding="utf-8")
    array.write_text("[" + ",".join([row] * 1_500) + "]", encoding="utf-8")
    for source in (path, array):
        tracemalloc.start()
        try:
            corpus = open_corpus(source)
            assert sum(1 for _ in islice(corpus, 1_200)) == 1_200
            assert tracemalloc.get_traced_memory()[1] < source.stat().st_size / 2
        finally:
            tracemalloc.stop()


KEYS = st.sampled_from(
    ["turns", "speaker", "text", "messages", "role", "content", "conversations", "from", "value"]
) | st.sampled_from(
    ["conversation", "conversation_id", "dialogue", "utterances", "history", "prompt", "replies"]
)
IDS = st.sampled_from(
    ["message_id", "parent_id", "message_tree_id", "conv_id", "utterance", "Speaker", "Utterance"]
) | st.sampled_from(
    ["id", "participants", "context", "conversation_a", "conversation_b", "fname", "dialog"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | IDS, inner, max_size=5),
    max_leaves=12,
)


READERS: list[Reader] = [registry.load("readers", name)() for name in registry.names("readers")]


@given(value=JSON | st.text(), reader=st.sampled_from(READERS))
def test_whatever_a_row_holds_it_is_a_conversation_or_a_bad_row(value: Any, reader: Reader) -> None:
    rows = [Row(1, value), Row(2, value)]
    good, refused = Batch("data", reader, 0, [rows]).read()
    assert bool(good) != bool(refused)
    for conversation in good:
        assert conversation.turns
        assert conversation.to_line()
