"""Further kinds of files that are not in tests/data/files: read, warned about or refused with a
reason."""

from __future__ import annotations

import gzip
import io
import json
import logging
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convogen.cli.main import cli
from convogen.corpora import open_corpus
from convogen.errors import SourceError

Turns = list[tuple[str, str]]
HELLO: Turns = [("Ida", "Hello there"), ("Tom", "Hi")]


def said(path: Path) -> list[Turns]:
    return [[(turn.speaker, turn.text) for turn in one.turns] for one in open_corpus(path)]


def line(value: Any) -> str:
    return json.dumps(value) + "\n"


def messages(*pairs: tuple[str, Any], role: str = "role", text: str = "content") -> list[Any]:
    return [{role: who, text: content} for who, content in pairs]


SCRIPTS: dict[str, tuple[str, list[Turns]]] = {
    "headings of Zoom": ("Ida  0:03\nHello there\n\nTom  0:07\nHi\n\n", [HELLO]),
    "IRC": (
        "[10:01] <Ida> so: see https://a.example\n[10:02] <Tom> Hi\n",
        [[("Ida", "so: see https://a.example"), ("Tom", "Hi")]],
    ),
    "WebVTT": (
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Ida>Hello there</v>\n\n2\n"
        "00:00:03.000 --> 00:00:04.000\n<v Tom>Hi</v>\n",
        [HELLO],
    ),
    "a blank line after each turn": ("Ida: Hello there\n\nTom: Hi\n\n", [HELLO]),
    "bold speakers": ("**Ida:** Hello there\n**Tom**: Hi\n", [HELLO]),
    "WhatsApp in the United States": (
        "3/12/24, 10:15\u202fAM - Ida: Hello there\n3/12/24, 10:16\u202fAM - Tom: Hi\n"
        "3/12/24, 10:17\u202fAM - Tom added Max\n",
        [HELLO],
    ),
    "ParlAI is not numbered turns": (
        "1 hi\they\n2 so ?\tyes\n",
        [[("user1", "hi"), ("user2", "hey"), ("user1", "so ?"), ("user2", "yes")]],
    ),
}
OBJECTS: dict[str, tuple[Any, list[Turns]]] = {
    "Gemini": (
        {
            "contents": [
                {"role": "Ida", "parts": [{"text": "Hello there"}]},
                {"role": "Tom", "parts": [{"text": "Hi"}]},
            ]
        },
        [HELLO],
    ),
    "objects as JSON in a list": (
        {
            "turns": [
                '{"speaker": "Ida", "text": "Hello there"}',
                '{"speaker": "Tom", "text": "Hi"}',
            ]
        },
        [HELLO],
    ),
    "what tools are asked and answer as parts": (
        {
            "messages": messages(
                ("Ida", "Hello there"),
                ("assistant", [{"type": "tool_use", "name": "w"}]),
                ("user", [{"type": "tool_result", "content": "8"}]),
                ("Tom", [{"type": "text", "text": "Hi"}]),
            )
        },
        [HELLO],
    ),
    "a method that is not ours": (
        {
            "id": "a",
            "method": "survey",
            "turns": [
                {"speaker": "Ida", "text": "Hello there", "time": 1},
                {"speaker": "Tom", "text": "Hi"},
            ],
        },
        [HELLO],
    ),
    "a system that speaks": (
        {
            "messages": messages(
                ("user", "a taxi"), ("system", "where?"), ("user", "Ely"), ("system", "ok")
            )
        },
        [[("user", "a taxi"), ("system", "where?"), ("user", "Ely"), ("system", "ok")]],
    ),
    "prompt, chosen and rejected as texts": (
        {"prompt": "Q?", "chosen": "good", "rejected": "bad"},
        [[("user", "Q?"), ("assistant", "good")]],
    ),
    "Alpaca with a history": (
        {"instruction": "Q?", "input": "x", "output": "A.", "history": [["q", "a"]]},
        [[("user", "q"), ("assistant", "a"), ("user", "Q?\nx"), ("assistant", "A.")]],
    ),
    "DREAM": (
        [["M: Hello there", "W: Hi"], [{"question": "?"}], "4-1"],
        [[("M", "Hello there"), ("W", "Hi")]],
    ),
    "prefixes in a column": (
        {"dialog": ["Ida: Hello there", "Tom: Hi"]},
        [HELLO],
    ),
    "small words before a colon": (
        {"dialogue": "Ida: To do\nremember: the milk\nTom: see www.a.example: good"},
        [[("Ida", "To do\nremember: the milk"), ("Tom", "see www.a.example: good")]],
    ),
}
DOCUMENTS: dict[str, tuple[Any, list[Turns]]] = {
    "all of Telegram": (
        {
            "about": "x",
            "chats": {
                "about": "y",
                "list": [
                    {
                        "name": "Ida",
                        "id": 1,
                        "messages": [
                            {"id": 1, "type": "service", "actor": "Ida", "text": ""},
                            {
                                "id": 2,
                                "type": "message",
                                "from": "Ida",
                                "from_id": "u1",
                                "text": "Hello there",
                            },
                            {
                                "id": 3,
                                "type": "message",
                                "from": "Tom",
                                "from_id": "u2",
                                "text": "Hi",
                            },
                        ],
                    }
                ],
            },
        },
        [HELLO],
    ),
    "a table by columns": (
        {
            "columns": ["id", "messages"],
            "index": [0],
            "data": [["a", messages(("Ida", "Hello there"), ("Tom", "Hi"))]],
        },
        [HELLO],
    ),
}
TABLES: dict[str, tuple[str, list[Turns]]] = {
    "no number, ids together": ("dialog_id|speaker|text\n1|Ida|Hello there\n1|Tom|Hi\n", [HELLO]),
    "no ids at all": ("speaker,text\nIda,Hello there\nTom,Hi\n", [HELLO]),
    "numbers that begin again": (
        "conv_id\tturn_id\tsender\tmessage\n1\t0\tIda\tHello there\n1\t1\tTom\tHi\n"
        "1\t0\tIda\tHello there\n1\t1\tTom\tHi\n",
        [HELLO, HELLO],
    ),
    "the later turn first": ("id,turn,speaker,text\n1,2,Tom,Hi\n1,1,Ida,Hello there\n", [HELLO]),
}
FOREIGN: dict[str, tuple[bytes, str]] = {
    "zip": (b"PK\x03\x04abc", "a ZIP archive"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "Git LFS pointer"),
    "page.json": (b"<!DOCTYPE html><html></html>", "a web page"),
    "gbk.jsonl": (
        line({"turns": "x"}).replace("x", "\u4f60\u4eca\u5929\u53bb\u4e0d\u53bb").encode("gbk"),
        "line 1 is not UTF-8",
    ),
    "russian.txt": (
        "\u0418\u0434\u0430: \u0412\u0441\u0442\u0440\u0435\u0442\u0438\u043c"
        "\u0441\u044f \u0443 \u0432\u0445\u043e\u0434\u0430\n".encode("cp1251"),
        "iconv",
    ),
    "half.parquet": (b"PAR1" + b"x" * 100, "Parquet file cannot be read from here on"),
    "no header.csv": (b"c1,1,Ida,Hello\nc1,2,Tom,Hi\n", "is a header missing"),
    "quote.csv": (b'id,turn,speaker,text\n1,1,Ida,"Hello\n1,2,Tom,Hi\n', "is never closed"),
    "prose.txt": (
        b"Once upon a time: a king.\nHe lived.\nNobody knew.\nThe end: he died.\n",
        "begins with 'Once upon a time",
    ),
    "keys.jsonl": (b'{"question_id": 1, "label": "x"}\n', "the keys are 'question_id', 'label'"),
    "twice.csv": (
        b"id,turn,speaker,text\n1,2,Ida,a\n1,1,Tom,b\n1,2,Ida,c\n",
        "'turn' is '2', which is repeated or out of order",
    ),
}
FOREIGN["russian.txt"] = (FOREIGN["russian.txt"][0] * 3, FOREIGN["russian.txt"][1])


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_transcript(case: str, tmp_path: Path) -> None:
    text, expected = SCRIPTS[case]
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert said(path) == expected


@pytest.mark.parametrize("case", OBJECTS)
def test_an_object(case: str, tmp_path: Path) -> None:
    value, expected = OBJECTS[case]
    lines, array = tmp_path / "lines.jsonl", tmp_path / "array.json"
    lines.write_text(line(value) * 2, encoding="utf-8")
    assert (
        said(lines) == expected * 2
        or "chats" in case
        or "columns" in case
        or case in ("all of Telegram", "a table by columns")
    )
    array.write_text(json.dumps(value, indent=1), encoding="utf-8")
    if isinstance(value, dict):
        assert said(array) == expected


@pytest.mark.parametrize("case", TABLES)
def test_a_table(case: str, tmp_path: Path) -> None:
    text, expected = TABLES[case]
    path = tmp_path / "table"
    path.write_text(text, encoding="utf-8")
    assert said(path) == expected


@pytest.mark.parametrize("name", FOREIGN)
def test_the_reason_why_not(name: str, tmp_path: Path) -> None:
    content, reason = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=reason) as caught:
        said(path)
    assert "\n" not in str(caught.value)


def test_a_tar_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("data.jsonl"))
    path.write_bytes(gzip.compress(packed.getvalue()))
    with pytest.raises(SourceError, match="a tar archive"):
        said(path)


def test_zstandard(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "data"
    with pa.output_stream(str(path), compression="zstd") as file:
        file.write(line(["Hello there", "Hi"]).encode())
    assert said(path) == [[("user1", "Hello there"), ("user2", "Hi")]]


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ([["yes", "no"]] * 4, "every turn is a single word"),
        ([[f"P{at}: hello there" for at in (1, 2, 1)]], None),
        (
            [{"turns": [{"speaker": f"P{at}", "text": "a b"} for at in range(9)]}],
            "a new speaker in every turn",
        ),
        (
            [{"turns": [{"speaker": "I went home after that.", "text": "a b"}]}],
            "a speaker's name looks like a sentence",
        ),
        ([["a b", "c d"], {}], "1 bad row left out (half of all rows or more"),
    ],
)
def test_a_warning(
    rows: list[Any], warning: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(map(line, rows)), encoding="utf-8")
    with caplog.at_level(logging.WARNING, "convogen.corpora"):
        assert said(path)
    found = [record.getMessage() for record in caplog.records]
    assert bool(found) == (warning is not None)
    assert warning is None or any(warning in line for line in found)


def test_dailydialog_labels_are_those_of_their_line(tmp_path: Path) -> None:
    files = {
        "dialogues_train.txt": "Hi ! __eou__\nBye __eou__\nSo __eou__\n",
        "dialogues_act_train.txt": "1\n\n3\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    found = [one.context for one in open_corpus(tmp_path / "dialogues_train.txt")]
    assert found == [{"act": [1]}, {}, {"act": [3]}]


def test_numbers_that_begin_again_and_ids_that_come_again(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLES["numbers that begin again"][0], encoding="utf-8")
    corpus = open_corpus(path)
    assert [one.id for one in corpus] == ["1", "1"]
    assert "1 conversation with the id of an earlier conversation" in corpus.warnings()[0]


GOOD = line(
    {"turns": [{"speaker": "A", "text": "hello my friend"}, {"speaker": "B", "text": "so"}]}
)


@pytest.mark.parametrize("door", ["stats", "against", "match", "augment"])
@pytest.mark.parametrize("readable", [True, False])
def test_every_door_tells_of_bad_rows(door: str, readable: bool, tmp_path: Path) -> None:
    path, other = tmp_path / "corpus.jsonl", tmp_path / "other.jsonl"
    path.write_text((GOOD * 2 if readable else line({"turns": []})) + "{broken\n", "utf-8")
    other.write_text(GOOD * 2, "utf-8")
    out = ["--model", "scripted", "--n", "1", "--out", str(tmp_path / "run")]
    command = {
        "stats": ["stats", str(path)],
        "against": ["stats", str(other), "--against", str(path)],
        "match": ["run", "demo", "--match", str(path), *out],
        "augment": ["augment", str(path), *out],
    }[door]
    result = CliRunner().invoke(cli, command)
    if readable:
        assert result.exit_code == 0
        assert result.stderr.count("1 bad row left out") == 1
    else:
        assert isinstance(result.exception, SourceError)
        assert "line 1: the conversation has no turns" in str(result.exception)
