"""The published baselines: the rendering and the counting rule that give the paper's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.metrics import measure, render
from convogen.published import published

SHARED = Path(__file__).parents[3] / "shared" / "data"
PERSONACHAT = SHARED / "personachat" / "valid_original.json"
needs_data = pytest.mark.skipif(
    not PERSONACHAT.is_file(), reason="the folder shared/data is missing"
)

VALIDATION = {
    "conversations": 999,
    "words_per_conversation": 201.843,
    "turns_per_conversation": 15.602,
    "words_per_turn": 11.937,
    "mtld_mean": 49.330,
    "mtld_std": 12.069,
}


def test_the_two_renderings() -> None:
    assert render(["Hi there", "Yes"], "text") == "Hi there\nYes"
    assert render(["Hi there", "Yes", "Bye"], "paper") == "user1: Hi there\nuser2: Yes\nuser1: Bye"


PAIRS = [
    {
        "speaker persona": ["i sail on sundays.", "i have two cats."],
        "listener persona": ["my bakery opens at five."],
        "dialogue": ["hi there , how are you ?", "fine . up since five again", "so early ! why ?"],
    },
    {
        "speaker persona": ["i am a pilot."],
        "listener persona": ["i fear birds."],
        "dialogue": ["do you like birds ?", "not one bit"],
    },
]
"""Our own dialogues in the format of PERSONA-CHAT."""


@pytest.mark.parametrize("form", ["personachat", "turns"])
def test_the_papers_rendering_by_hand(form: str, tmp_path: Path) -> None:
    """There are 7 + 6 + 5 and 5 + 3 words, and one label per turn adds to a conversation's
    length."""
    path = tmp_path / "pairs.json"
    if form == "personachat":
        path.write_text(json.dumps(PAIRS))
    else:
        rows = [
            {"turns": [{"speaker": "AB"[at % 2], "text": t} for at, t in enumerate(p["dialogue"])]}
            for p in PAIRS
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = measure(open_corpus(path), "paper", compare=False)
    assert (found.conversations, found.turns) == (2, 5)
    assert found.words_per_conversation == ((18 + 3) + (8 + 2)) / 2
    assert found.turns_per_conversation == 2.5
    assert found.words_per_turn == 26 / 5
    plain = measure(open_corpus(path), "text", compare=False)
    assert plain.words_per_conversation == 13
    assert plain.words_per_turn == 26 / 5


@needs_data
def test_personachat_validation_to_the_third_decimal() -> None:
    found = measure(open_corpus(PERSONACHAT), "paper", compare=False).as_dict()
    assert {key: round(found[key], 3) for key in VALIDATION} == VALIDATION


@needs_data
def test_the_same_from_lines_with_turns_on_two_processes(tmp_path: Path) -> None:
    rows = json.loads(PERSONACHAT.read_text(encoding="utf-8"))
    path = tmp_path / "turns.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in rows * 2:
            turns = [
                {"speaker": "AB"[at % 2], "text": text} for at, text in enumerate(row["dialogue"])
            ]
            file.write(json.dumps({"turns": turns}) + "\n")
    found = measure(open_corpus(path), "paper", workers=2, compare=False).as_dict()
    expected = VALIDATION | {"conversations": 2 * 999}
    assert {key: round(found[key], 3) for key in VALIDATION} == expected


@needs_data
@pytest.mark.parametrize(
    ("file", "conversations", "turns", "format_"),
    [
        ("meld/dev_sent_emo.csv", 114, 1_109, "meld"),
        ("dialogsum/dialogsum.dev.jsonl", 500, 4_690, "dialogsum"),
        ("dialogueforge/seeds/arena_model_a_summaries.jsonl", 1_002, 6_858, "lmsys"),
        ("dialogueforge/seeds/oasst1_en_min_6_turns_summary.jsonl", 413, 2_479, "seeds"),
        ("dialogueforge/generated/oasst1_en_GPT4o_GPT4oMini_6.jsonl", 413, 2_478, "seeds"),
    ],
)
def test_real_corpora_are_read_whole(
    file: str, conversations: int, turns: int, format_: str
) -> None:
    corpus = open_corpus(SHARED / file, strict=True)
    found = list(corpus)
    assert corpus.format.name == format_
    assert (len(found), sum(len(one.turns) for one in found)) == (conversations, turns)


def test_the_published_tables_are_complete() -> None:
    tables = published("convogen")
    shapes = {name: (len(table.rows), len(table.columns)) for name, table in tables.items()}
    expected = {"I": (10, 5), "II": (3, 2), "III": (13, 3), "IV": (4, 10), "V": (13, 2)}
    assert shapes == expected | {"VI": (6, 5)}
    assert tables["III"].rows["PERSONA-CHAT"] == {"nW": 198.46, "nT": 15.52, "nW/T": 11.79}
    assert tables["V"].rows["PCIS-s"] == {"mtld_mean": 84.38, "mtld_std": 19.24}
    assert set(tables["III"].rows) == set(tables["V"].rows)
    assert set(tables["V"].rows) == set(tables["I"].rows) | set(tables["II"].rows)


@pytest.mark.parametrize("table", ["IV", "VI"])
def test_the_published_averages_are_those_of_their_row(table: str) -> None:
    """This check reveals copying errors, because the paper prints the averages separately."""
    for row in published("convogen")[table].rows.values():
        scores = [float(value) for key, value in row.items() if key != "avgScore" and value]
        assert sum(scores) / len(scores) == pytest.approx(row["avgScore"], abs=0.0101)


def test_an_unknown_paper_lists_the_known() -> None:
    with pytest.raises(SourceError, match="convogen"):
        published("nobody")
