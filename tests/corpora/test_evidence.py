"""Evidence in a file's rows beyond the likeliest column, and rows that are hardly conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convogen.corpora import Corpus, open_corpus
from convogen.errors import SourceError
from convogen.records import Conversation


def opened(folder: Path, name: str, text: str | bytes) -> Corpus:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_corpus(path)


def said(one: Conversation) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in one.turns]


def lines(*rows: Any) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


@pytest.mark.parametrize(
    "column",
    ["id", "dialogue", "conv_no", "Ticket ID", "session", "call_id", "chat-number", "link_id"],
)
def test_the_column_that_says_which_conversation(tmp_path: Path, column: str) -> None:
    text = f"{column},speaker,text\n7,A,one\n7,B,two\n8,A,three\n8,C,four\n"
    corpus = opened(tmp_path, "t.csv", text)
    assert [said(one) for one in corpus] == [
        [("A", "one"), ("B", "two")],
        [("A", "three"), ("C", "four")],
    ]
    assert corpus.warnings() == []


def test_an_id_of_each_utterance_parts_nothing(tmp_path: Path) -> None:
    rows = "".join(f"u{at},{at % 4},{'AB'[at % 2]},hello\n" for at in range(8))
    corpus = opened(tmp_path, "t.csv", f"id,turn,speaker,text\n{rows}")
    assert [len(one.turns) for one in corpus] == [4, 4]


def test_rows_that_are_one_conversation_for_want_of_a_column_are_told(tmp_path: Path) -> None:
    text = "matter,speaker,text\n7,A,one\n7,B,two\n8,A,three\n8,B,four\n"
    corpus = opened(tmp_path, "t.csv", text)
    assert len(list(corpus)) == 1
    (line,) = corpus.warnings()
    assert "no column identifies conversations" in line
    assert "(possibly 'matter')" in line


@pytest.mark.parametrize("blank", ["", " "])
def test_rows_below_a_merged_cell_are_no_conversation(tmp_path: Path, blank: str) -> None:
    text = f"conversation_id,turn,speaker,text\n1,1,A,a\n1,2,B,b\n{blank},3,A,c\n{blank},4,B,d\n"
    corpus = opened(tmp_path, "t.csv", text)
    assert [one.id for one in corpus] == ["1"]
    assert "2 rows have no value in 'conversation_id'" in corpus.bad_rows.first[0].message


def test_a_column_that_is_always_empty_is_none(tmp_path: Path) -> None:
    rows = [{"thread_id": None, "speaker": name, "text": "hello"} for name in "ABAB"]
    assert [len(one.turns) for one in opened(tmp_path, "t.jsonl", lines(*rows))] == [4]


@pytest.mark.parametrize("person", ["username", "author", "sender_name", "user"])
def test_a_role_that_all_have_is_nobody(tmp_path: Path, person: str) -> None:
    turns = [{person: name, "role": "member", "text": "hello"} for name in ("Ann", "Bo")]
    (one,) = opened(tmp_path, "t.jsonl", lines({"messages": turns}))
    assert one.participants == ["Ann", "Bo"]


def test_a_role_of_a_chat_is_who_speaks(tmp_path: Path) -> None:
    turns = [{"role": role, "user": "u-1", "content": "hello"} for role in ("user", "assistant")]
    (one,) = opened(tmp_path, "t.jsonl", lines({"messages": turns}))
    assert one.participants == ["user", "assistant"]


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        ("c.yaml", "name: x\nversion: 1\nauthor: me\nlicense: MIT\n", "a new speaker in every"),
        ("r.txt", "Flour: 200 g\nSugar: 1 g\nEggs: 3\nMilk: 1 l\n", "a new speaker in every"),
        ("r.csv", "user,text,stars\na,x y,5\nb,z w,1\nc,v u,3\nd,q r,2\n", "a new speaker in"),
        ("l.txt", "INFO: up\nWARNING: slow\nINFO: a b\nINFO: c d\n", "looks like a label: 'INFO'"),
        ("m.txt", "From: a@b\nTo: c@d\nSubject: x\n\nHi there\n", "looks like a label: 'From'"),
        ("p.txt", "text:hi you\tlabels:yes\ntext:more\tlabels:no\n", "only one turn in 0"),
        ("s.csv", "conv_id,speaker,text\n1,A,x\n2,B,y\n3,A,z\n", "only one turn in 3"),
    ],
)
def test_what_hardly_is_a_conversation_is_told(
    tmp_path: Path, name: str, text: str, warning: str
) -> None:
    try:
        corpus = opened(tmp_path, name, text)
    except SourceError:
        return  # a refusal is just as good
    list(corpus)
    assert warning in "\n".join(corpus.warnings())


def test_a_voice_in_webvtt_may_have_several_lines(tmp_path: Path) -> None:
    cues = ("<v Ann>hi\nthere</v>", "<v Bo>yes</v>")
    text = "".join(f"\n00:0{at}.000 --> 00:0{at + 1}.000\n{cue}\n" for at, cue in enumerate(cues))
    (one,) = opened(tmp_path, "t.vtt", f"WEBVTT\n{text}")
    assert said(one) == [("Ann", "hi\nthere"), ("Bo", "yes")]
