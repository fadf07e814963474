"""Tables as programs write them: their delimiters, and defects that spoil the table or a single
row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convogen.corpora import open_corpus
from convogen.corpora.script import script_turns
from convogen.errors import SourceError
from convogen.records import Conversation

HEADER = "conversation_id,turn,speaker,text\n"


def read(path: Path, data: bytes | str) -> list[Conversation]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(open_corpus(path))


def test_a_row_that_is_not_utf8_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    good = "".join(f"{at},1,A,{'x ' * 150}\n{at},2,B,yes\n" for at in range(900))
    rows = HEADER.encode() + good.encode() + b"900,1,A,caf\xe9\n" + b"901,1,A,hi\n901,2,B,yo\n"
    assert len(rows) > 2**18  # beyond the part that determines the encoding
    path.write_bytes(rows)
    corpus = open_corpus(path)
    assert [one.id for one in corpus] == [*map(str, range(900)), "901"]
    (bad,) = corpus.bad_rows.first
    assert bad.message == "the row is not UTF-8: it contains the byte 0xe9"
    assert bad.line == 1802


@pytest.mark.parametrize("delimiter", [", ", "; ", "| "])
def test_blanks_after_delimiters_are_no_text(tmp_path: Path, delimiter: str) -> None:
    rows = [["conversation_id", "turn", "speaker", "text"], ["1", "1", "Ann", '"a, b; c| d"']]
    (one,) = read(tmp_path / "t.csv", "".join(f"{delimiter.join(row)}\n" for row in rows))
    assert [(turn.speaker, turn.text) for turn in one.turns] == [("Ann", "a, b; c| d")]


def test_a_blank_that_the_header_lacks_is_text(tmp_path: Path) -> None:
    (one,) = read(tmp_path / "t.csv", HEADER + "1,1,Ann, hello\n1,2,Bo,hi\n")
    assert one.turns[0].text == " hello"


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_line_that_tells_excel_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    table = (HEADER + "1,1,Ann,hello\n1,2,Bo,yes\n").replace(",", delimiter)
    (one,) = read(tmp_path / "t.csv", f"sep={delimiter}\r\n{table}")
    assert [turn.text for turn in one.turns] == ["hello", "yes"]


def test_of_two_columns_of_a_name_the_second_is_kept_beside(tmp_path: Path) -> None:
    (one,) = read(tmp_path / "t.csv", "id,dialogue,summary,summary\n1,A: hi,short,long\n")
    assert one.context == {"summary": "short", "summary.2": "long"}


def test_messages_by_their_numbers_are_a_conversation(tmp_path: Path) -> None:
    turns = {str(at): {"speaker": "AB"[at % 2], "text": f"text {at}"} for at in range(3)}
    found = read(tmp_path / "t.json", json.dumps({"d1": turns, "d2": turns}))
    assert [[turn.text for turn in one.turns] for one in found] == [
        ["text 0", "text 1", "text 2"]
    ] * 2


def test_a_turn_of_very_many_lines_is_put_together_once(tmp_path: Path) -> None:
    """With a running time quadratic in the number of lines, this would take hours."""
    count = 400_000
    (turn,) = script_turns("A: hello\n" + "and so on\n" * count)
    assert turn.text.count("\n") == count
    chat = "12/01/2024, 10:11 - Ann: hello\n" + "and so on\n" * 9_000
    (one,) = read(tmp_path / "chat.txt", chat)
    assert one.turns[0].text.count("\n") == 9_000


def test_a_folder_of_data_is_told_by_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("{}", "utf-8")
    with pytest.raises(SourceError, match=r"such as \S+train\.jsonl$"):
        open_corpus(tmp_path)
