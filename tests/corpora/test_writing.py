"""Files that are written in a source's columns can be read by the source's own reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.corpora.writing import layout_of
from convogen.errors import SourceError
from convogen.records import Conversation, Turn

MELD = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"]
SAMPLES: dict[str, Any] = {
    "dialogsum.jsonl": {"fname": "d", "dialogue": "#A#: x\n#B#: y", "summary": "s", "topic": "t"},
    "samsum.json": {"id": "1", "summary": "s", "topic": "t", "dialogue": "A: x\r\nB: y"},
    "samsum.csv": {"id": "1", "summary": "s", "topic": "t", "dialogue": "A: x\nB: y"},
    "turns.jsonl": {
        "id": "1",
        "turns": [{"speaker": "A", "text": "x"}],
        "summary": "s",
        "topic": "t",
    },
    "inner.jsonl": {
        "id": "1",
        "turns": [{"speaker": "A", "text": "x"}],
        "context": {"summary": "s", "topic": "t"},
    },
    "messages.json": {
        "id": "1",
        "messages": [{"role": "user", "content": "x"}],
        "summary": "s",
        "topic": "t",
    },
    "sharegpt.jsonl": {
        "id": "1",
        "conversations": [{"from": "human", "value": "x"}],
        "summary": "s",
        "topic": "t",
    },
    "lmsys.parquet": {
        "conversation_id": "1",
        "conversation": [{"role": "user", "content": "x"}],
        "summary": "s",
        "topic": "t",
    },
}

TEXT = st.text(
    st.one_of(
        st.sampled_from("\",;\n\t: '|{}\\#é，"), st.characters(exclude_categories=("Cs", "Cc"))
    ),
    min_size=1,
    max_size=30,
)
WORDS = TEXT.map(lambda text: " ".join(text.split())).filter(bool)
NAMES = st.sampled_from(["user", "#Person1#", "Anaïs, the 2nd", 'Bob "B" Low'])
TURNS = st.lists(st.tuples(NAMES, WORDS), min_size=1, max_size=5)


def source(folder: Path, name: str) -> Path:
    """Write a source of two rows with the shape of a sample."""
    path, row = folder / name, SAMPLES[name]
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist([row, row]), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows([row, row])
    elif path.suffix == ".json":
        path.write_text(json.dumps([row, row], indent=1), "utf-8")
    else:
        path.write_text(2 * f"{json.dumps(row)}\n", "utf-8")
    return path


def conversation(turns: list[tuple[str, str]], **context: Any) -> Conversation:
    people = list(dict.fromkeys(speaker for speaker, _ in turns))
    said = [Turn(speaker=speaker, text=text) for speaker, text in turns]
    return Conversation(id="c-1", participants=people, context=context, turns=said)


@pytest.mark.parametrize("name", SAMPLES)
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(turns=TURNS, summary=TEXT, topic=TEXT)
def test_hostile_labels_come_back(
    name: str, tmp_path: Path, turns: list[tuple[str, str]], summary: str, topic: str
) -> None:
    layout = layout_of(str(source(tmp_path, name)))
    one = conversation(turns, summary=summary, topic=topic)
    out = tmp_path / "out" / layout.file_name
    out.parent.mkdir(exist_ok=True)
    assert layout.write([one, one], out) == []
    corpus = open_corpus(out, strict=True)
    assert corpus.format.name == open_corpus(tmp_path / name).format.name
    assert list(corpus) == [one, one]


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(NAMES, TEXT, TEXT), min_size=1, max_size=5))
def test_meld_is_an_utterance_a_row(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path / "meld.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*MELD, "Season"])
        writer.writerow([1, "Hi", "Jo", "joy", "positive", 0, 0, 4])
        writer.writerow([2, "Oh!", "Al", "surprise", "positive", 0, 1, 4])
        writer.writerow([3, "No!", "Al", "surprise", "negative", 0, 2, 4])
    said = [(speaker, text) for speaker, text, _ in rows]
    one = conversation(said, emotions=[emotion for *_, emotion in rows])
    known = conversation([("Jo", "Yes"), ("Al", "What?")], emotions=["joy", "surprise"])
    out = tmp_path / "out.csv"
    assert layout_of(str(path)).write([one, known], out) == ["Season"]
    first, second = open_corpus(out, strict=True)
    assert first.turns == one.turns
    assert first.context["emotions"] == one.context["emotions"]
    assert second.context["sentiments"] == ["positive", ""]
    with out.open(encoding="utf-8", newline="") as file:
        numbers = [row["Sr No."] for row in csv.DictReader(file)]
    assert numbers == [str(at + 1) for at in range(len(rows) + 2)]


def test_line_ends_of_a_script_are_those_of_the_source(tmp_path: Path) -> None:
    layout = layout_of(str(source(tmp_path, "samsum.json")))
    out = tmp_path / "out.json"
    layout.write([conversation([("Al: x", "one\ntwo"), ("Jo", "three")])], out)
    assert json.loads(out.read_text("utf-8"))[0]["dialogue"] == "Al x: one two\r\nJo: three"


def test_a_format_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dialogues.txt"
    path.write_text("Hi . __eou__ Hello . __eou__\n" * 2, "utf-8")
    with pytest.raises(SourceError, match="'dailydialog' format can be read but not written"):
        layout_of(str(path))
