"""Files as users have them: their contents, or the reason why they cannot be read.

The files in tests/data/files were written for these tests, and the numbers were counted by hand.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convogen.cli.main import cli
from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.records import Conversation

HARBOUR = "You know the harbour."
FILES = Path(__file__).parents[1] / "data" / "files"

READ: dict[str, tuple[str, int, int, int, str]] = {
    "01-soda.jsonl": ("texts", 2, 10, 50, "Lea, Omar, Mother, Ben, Ann"),
    "01-soda.parquet": ("texts", 2, 10, 50, "Lea, Omar, Mother, Ben, Ann"),
    "02a-conversations-role-content.jsonl": ("sharegpt", 2, 4, 22, "user, assistant"),
    "02b-messages-from-value.jsonl": ("messages", 2, 4, 22, "human, gpt"),
    "02c-mixed-keys.jsonl": ("sharegpt", 5, 10, 34, "human, gpt, user, assistant"),
    "02d-conversation-from-value.jsonl": ("lmsys", 2, 4, 6, "human, gpt"),
    "02e-conversation-input-output.jsonl": ("lmsys", 2, 8, 16, "user, assistant"),
    "02f-tools.jsonl": ("sharegpt", 2, 4, 14, "human, gpt"),
    "02g-openai-tools.jsonl": ("messages", 2, 4, 14, "user, assistant"),
    "02h-column-oriented.json": ("sharegpt", 2, 4, 4, "human, gpt"),
    "02i-empty-consecutive.jsonl": ("sharegpt", 2, 6, 10, "human, gpt"),
    "02j-prompt-completion.jsonl": ("instructions", 2, 4, 10, "user, assistant"),
    "02k-chosen-rejected.jsonl": ("preferences", 2, 4, 10, "user, assistant"),
    "02l-hh.jsonl": ("preferences", 2, 4, 10, "Human, Assistant"),
    "02m-alpaca.jsonl": ("instructions", 2, 4, 10, "user, assistant"),
    "02n-multirole-weight.jsonl": ("sharegpt", 2, 6, 16, "Nora, Game Master, Ivo"),
    "03a-u2028.jsonl": ("turns", 3, 6, 31, "Ida, Tom"),
    "03b-u2028.json": ("turns", 3, 6, 31, "Ida, Tom"),
    "03c-u2028.txt": ("turns", 3, 6, 31, "Ida, Tom"),
    "03d-nel.json": ("turns", 3, 6, 30, "Ida, Tom"),
    "03e-samsum-u2028.jsonl": ("samsum", 2, 4, 10, "Ida, Tom"),
    "04a-utf16.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "04b-utf16.csv": ("utterances", 1, 2, 4, "Ida, Tom"),
    "04c-cp1252.jsonl": ("turns", 2, 4, 18, "Ida, Tom"),
    "04d-cp1252-meld.csv": ("meld", 2, 4, 8, "Ida, Tom"),
    "04e-mojibake-meld.csv": ("meld", 1, 2, 10, "Ida, Tom"),
    "05a-array.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05b-array-pretty.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05c-bom.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05d-bom-array.json": ("turns", 2, 4, 20, "Ida, Tom"),
    "05e-crlf.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05f-cr-only.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05g.jsonl.gz": ("turns", 2, 4, 20, "Ida, Tom"),
    "05h-gz-wrong-name.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05i.jsonl.bz2": ("turns", 2, 4, 20, "Ida, Tom"),
    "05j.jsonl.xz": ("turns", 2, 4, 20, "Ida, Tom"),
    "05k-pretty-one.json": ("messages", 1, 2, 2, "user, assistant"),
    "05l-pretty-one-turns.json": ("turns", 1, 2, 10, "Ida, Tom"),
    "05m-version-data.json": ("turns", 2, 4, 20, "Ida, Tom"),
    "05n-dict-of-convs.json": ("turns", 2, 4, 9, "agent_1, agent_2"),
    "05o-long-first-line.json": ("turns", 2, 4, 70015, "Ida, Tom"),
    "05p-nul.jsonl": ("turns", 2, 4, 18, "Ida, Tom"),
    "05q-hugeint.jsonl": ("turns", 2, 4, 20, "Ida, Tom"),
    "05r-concatenated.json": ("turns", 2, 4, 20, "Ida, Tom"),
    "06a-json-string.parquet": ("messages", 3, 6, 12, "user, assistant"),
    "06b-json-string.csv": ("messages", 2, 4, 8, "user, assistant"),
    "06c-pyrepr.csv": ("sharegpt", 1, 2, 2, "human, gpt"),
    "06d-synthetic-persona-chat.csv": ("synthetic_persona_chat", 2, 6, 19, "User 1, User 2"),
    "06e-semicolon.csv": ("utterances", 2, 3, 7, "Ida, Tom"),
    "06f-tab.tsv": ("utterances", 2, 3, 7, "Ida, Tom"),
    "06g-quotes-newlines-bom.csv": ("utterances", 2, 3, 10, "Ida, Tom"),
    "06h-bigfield.csv": ("utterances", 2, 4, 30006, "Ida, Tom"),
    "06i-zero-turns.csv": ("utterances", 2, 4, 4, "Ida, Tom"),
    "06j-interleaved.csv": ("utterances", 2, 4, 4, "Ida, Tom"),
    "06k-meld-interleaved.csv": ("meld", 2, 4, 4, "Ida, Tom"),
    "06l-ed-interleaved.csv": (
        "empatheticdialogues",
        2,
        4,
        10,
        "speaker1, speaker0, speaker3, speaker4",
    ),
    "06m-ed-quoted.csv": ("empatheticdialogues", 1, 2, 9, "speaker1, speaker0"),
    "06o-float-turn.csv": ("utterances", 1, 2, 2, "Ida, Tom"),
    "06p-null-speaker.parquet": ("turns", 1, 2, 2, "Ida, Tom"),
    "06q-struct-of-lists.parquet": ("turns", 1, 2, 2, "Ida, Tom"),
    "06r-turns-2.jsonl": ("turns", 1, 2, 2, "Ida, Tom"),
    "06s-concatenated-headers.csv": ("meld", 2, 4, 4, "Ida, Tom"),
    "07a-id-turns-extra.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07b-id-turns-extra-topic.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07c-int-id.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07d-context-str.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07e-sdialog.json": ("turns", 1, 2, 4, "Ida, Tom"),
    "07f-mixed-first-row-id-turns.jsonl": ("turns", 3, 6, 12, "Ida, Tom"),
    "07g-labelled-null.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07h-sdialog-list.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "07j-samsum-csv.csv": ("samsum", 1, 3, 11, "Ida, Tom"),
    "07k-dialogsum-list.jsonl": ("dialogsum", 1, 2, 8, "#Person1#, #Person2#"),
    "07l-samsum-nospeaker.jsonl": ("samsum", 1, 2, 2, "Ida, Tom"),
    "07m-dup-ids.jsonl": ("messages", 2, 4, 4, "user, assistant"),
    "07n-meeting.txt": ("script", 1, 3, 7, "Project Manager, Industrial Designer, Marketing"),
    "07o-whatsapp.txt": ("whatsapp", 1, 2, 7, "Ida, Tom"),
    "07p-whatsapp-ios.txt": ("whatsapp", 1, 2, 4, "Ida, Tom"),
    "07q-numbers.txt": ("numbered", 1, 3, 5, "Ida, Tom"),
    "07r-discord.json": ("messages", 1, 2, 4, "Ida, Tom"),
    "07s-slack.json": ("utterances", 1, 2, 4, "Ida, U02"),
    "07t-script.txt": ("script", 2, 4, 6, "Ida, Tom"),
    "07u-telegram.json": ("messages", 1, 2, 5, "Ida, Tom"),
    "07v-convokit": ("utterances", 2, 3, 5, "Ida, Tom"),
    "07w-multiwoz22.json": ("turns", 1, 2, 8, "USER, SYSTEM"),
    "07x-multiwoz21.json": ("multiwoz", 1, 2, 6, "user, system"),
    "07y-friends.json": ("nested", 1, 1, 3, "Ida"),
    "07z-wildchat.jsonl": ("lmsys", 2, 4, 6, "user, assistant"),
    "08a-zh.jsonl": ("turns", 2, 6, 6, "甲, 乙"),
    "08b-zh-same.jsonl": ("turns", 2, 4, 4, "甲, 乙"),
    "08c-ja.jsonl": ("turns", 2, 4, 4, "甲, 乙"),
    "08e-ar.jsonl": ("turns", 2, 4, 18, "甲, 乙"),
    "08f-hi.jsonl": ("turns", 2, 4, 23, "甲, 乙"),
    "08g-ru.jsonl": ("turns", 2, 4, 20, "甲, 乙"),
    "08h-ru-same.jsonl": ("turns", 2, 4, 24, "甲, 乙"),
    "08i-fr.jsonl": ("turns", 2, 4, 20, "甲, 乙"),
    "08j-emoji.jsonl": ("turns", 2, 4, 4, "甲, 乙"),
    "08k-empty.jsonl": ("turns", 1, 2, 5, "甲, 乙"),
    "08l-one-empty-line.jsonl": ("messages", 1, 2, 2, "user, assistant"),
    "08m-zh-near.jsonl": ("turns", 2, 4, 4, "甲, 乙"),
    "09a-xdailydialog.txt": ("dailydialog", 2, 5, 18, "user1, user2"),
    "09b-dailydialog-emptyturn.txt": ("dailydialog", 2, 5, 12, "user1, user2"),
    "10a-utf16le-zh.jsonl": ("turns", 4, 8, 20, "Ida, Tom"),
    "10c-utf16-nobom.jsonl": ("turns", 4, 8, 40, "Ida, Tom"),
    "11a-ed-unequal.csv": (
        "empatheticdialogues",
        2,
        4,
        20,
        "speaker7, speaker8, speaker9, speaker10",
    ),
    "11b-ed-pandas.csv": ("empatheticdialogues", 1, 2, 11, "speaker7, speaker8"),
    "11c-ed-index.csv": ("empatheticdialogues", 1, 2, 11, "speaker7, speaker8"),
    "11d-ed-hf-tocsv.csv": ("empatheticdialogues", 1, 2, 6, "speaker7, speaker8"),
    "12a-oasst-child-first.jsonl": ("oasst1", 1, 2, 2, "prompter, assistant"),
    "12b-oasst-nulltext.jsonl": ("oasst1", 1, 2, 2, "prompter, assistant"),
    "15a-sharegpt-aug.jsonl": ("sharegpt", 6, 24, 130, "human, gpt"),
    "15b-messages-aug.jsonl": ("messages", 6, 24, 130, "user, assistant"),
    "15c-rolecontent-mixed.json": ("messages", 6, 12, 76, "user, assistant"),
    "16a-dialogue-dicts.jsonl": ("turns", 2, 4, 8, "Ida, Tom"),
    "16b-dialog-dicts.jsonl": ("turns", 2, 4, 8, "0_Wizard, 1_Apprentice"),
    "16c-plain-prefixed.jsonl": ("plain", 2, 8, 14, "M, W"),
    "16e-mediasum.json": ("texts", 1, 3, 3, "HOST, GUEST"),
    "16f-qmsum.jsonl": ("turns", 1, 2, 2, "Project Manager, Marketing"),
    "16g-dialogue-script-no-space.jsonl": ("samsum", 1, 3, 4, "User 1, User 2, [User 1's name]"),
    "16h-utterances-text.jsonl": ("turns", 2, 4, 4, "Ida, Tom"),
    "16i-msc.jsonl": ("utterances", 1, 2, 2, "Speaker 1, Speaker 2"),
    "16j-convai-conv_id.jsonl": ("utterances", 1, 2, 2, "Ida, Tom"),
    "17a-messages-extra.parquet": ("messages", 6, 12, 72, "user, assistant"),
    "17b-meld-bom.csv": ("meld", 6, 12, 36, "Ida, Tom"),
    "17c-samsum.csv": ("samsum", 6, 18, 54, "Ida, Tom"),
}
"""File -> format, conversations, turns, words, and speakers in the order of their first turns."""

REFUSED = {
    "05s-empty-array.json": "no rows",
    "05t-raw-nul.jsonl": r"line 1: the row is not JSON: .* U\+0000, which must be escaped",
    "06n-pandas-nan.csv": "line 2: turn 1 has no speaker",
}

WARNED = {
    "02f-tools.jsonl": "left out: 4 tool",
    "02g-openai-tools.jsonl": "left out: 4 tool",
    "02i-empty-consecutive.jsonl": "left out: 4 empty",
    "03d-nel.json": "control character U+0085",
    "03e-samsum-u2028.jsonl": "control character U+0085",
    "04c-cp1252.jsonl": "is not UTF-8, and is therefore read as Windows-1252",
    "04d-cp1252-meld.csv": "is not UTF-8, and is therefore read as Windows-1252",
    "04e-mojibake-meld.csv": "control character U+0092",
    "06p-null-speaker.parquet": "2 bad rows left out (half of all rows or more",
    "06s-concatenated-headers.csv": "1 conversation with the id of an earlier conversation",
    "07h-sdialog-list.jsonl": "1 conversation with the id of an earlier conversation",
    "07m-dup-ids.jsonl": "1 conversation with the id of an earlier conversation",
    "07l-samsum-nospeaker.jsonl": "first line must have the form 'Speaker: text': 'just a line'",
    "07o-whatsapp.txt": "left out: 1 notice, 1 media",
    "07y-friends.json": "only one speaker in 1 of 1 conversation, and only one turn in 1;",
    "07s-slack.json": "left out: 1 notice",
    "07z-wildchat.jsonl": "2 turns without text",
    "08k-empty.jsonl": "no turns (messages left out: 2 empty)",
    "08l-one-empty-line.jsonl": "2 bad rows left out (half of all rows or more",
    "09b-dailydialog-emptyturn.txt": "1 turn without text",
}


def said(one: Conversation) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in one.turns]


def read(name: str) -> list[Conversation]:
    return list(open_corpus(FILES / name))


def test_every_file_has_its_line() -> None:
    personas = {path.name for path in FILES.iterdir() if path.name.startswith("14")}
    assert {path.name for path in FILES.iterdir()} == READ.keys() | REFUSED.keys() | personas


@pytest.mark.parametrize("name", READ)
def test_what_is_in_a_file(name: str) -> None:
    format_, n_conversations, n_turns, n_words, speakers = READ[name]
    corpus = open_corpus(FILES / name)
    found = list(corpus)
    turns = [turn for one in found for turn in one.turns]
    assert len(found) == n_conversations
    assert len(turns) == n_turns
    assert sum(len(turn.text.split()) for turn in turns) == n_words
    assert ", ".join(dict.fromkeys(turn.speaker for turn in turns)) == speakers
    assert corpus.format.name == format_


@pytest.mark.parametrize("name", REFUSED)
def test_why_a_file_cannot_be_read(name: str) -> None:
    with pytest.raises(SourceError, match=REFUSED[name]) as caught:
        read(name)
    assert str(FILES / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_what_is_hardly_right_is_warned_of(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "convogen.corpora"):
        corpus = open_corpus(FILES / name)
        list(corpus)
        list(corpus)
    lines = [record.getMessage() for record in caplog.records]
    expected = WARNED.get(name)
    if expected is None:
        assert [line for line in lines if "id of an earlier" not in line] == []
    else:
        assert sum(expected in line for line in lines) == 1


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        (
            "11b-ed-pandas.csv",
            {"turns_per_conversation": 2, "words_per_conversation": 11.0, "mtld_mean": 33.88},
        ),
        (
            "11c-ed-index.csv",
            {"turns_per_conversation": 2, "words_per_conversation": 11.0, "mtld_mean": 33.88},
        ),
        ("09a-xdailydialog.txt", {"turns": 5, "words_per_conversation": 9.0}),
    ],
)
def test_the_measures_of_a_file(name: str, measures: dict[str, float]) -> None:
    result = CliRunner().invoke(cli, ["stats", str(FILES / name), "--json"])
    found: dict[str, Any] = json.loads(result.stdout)
    assert {key: round(found[key], 2) for key in measures} == measures


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("03e-samsum-u2028.jsonl", [("Ida", "I wrote\u2028note: bring the map"), ("Tom", "ok")]),
        (
            "07j-samsum-csv.csv",
            [
                ("Ida", "See here\nhttps://example.org/map"),
                ("Tom", "At 10:30?\nor at 11:15?"),
                ("Ida", "ok :)\n:D"),
            ],
        ),
        (
            "07k-dialogsum-list.jsonl",
            [("#Person1#", "Bring:\n- milk: two\n- bread: one"), ("#Person2#", "Right.")],
        ),
        ("07o-whatsapp.txt", [("Ida", "Are you coming?"), ("Tom", "Yes\nin ten minutes")]),
        (
            "06g-quotes-newlines-bom.csv",
            [("Ida", 'She said "no",\nthen left.'), ("Tom", "Line one\r\nline two")],
        ),
        ("06j-interleaved.csv", [("Ida", "Hello"), ("Tom", "Yes")]),
        ("06k-meld-interleaved.csv", [("Ida", "Hello"), ("Tom", "Yes")]),
        (
            "06l-ed-interleaved.csv",
            [("speaker1", "I lost my cat"), ("speaker0", "Oh no, really?")],
        ),
        (
            "11a-ed-unequal.csv",
            [("speaker7", "I lost my cat last week"), ("speaker8", "Oh, I am so sorry")],
        ),
        ("07u-telegram.json", [("Ida", "Are you coming?"), ("Tom", "see https://a.example")]),
        (
            "16c-plain-prefixed.jsonl",
            [("M", "Is it far?"), ("W", "No."), ("W", "Ten minutes."), ("M", "Good.")],
        ),
        (
            "09b-dailydialog-emptyturn.txt",
            [("user1", "Where is it ?"), ("user2", ""), ("user1", "Behind the shed .")],
        ),
    ],
)
def test_who_says_what(name: str, turns: list[tuple[str, str]]) -> None:
    assert said(read(name)[0]) == turns


def test_what_is_no_turn_is_a_label() -> None:
    assert read("02f-tools.jsonl")[0].context["system"] == "You know the weather."
    assert read("02g-openai-tools.jsonl")[1].context == {"system": "You know the weather."}
    assert read("02k-chosen-rejected.jsonl")[0].context == {"rejected": "Paris."}
    assert read("09a-xdailydialog.txt")[0].context == {
        "topic": 1,
        "act": [2, 1, 1],
        "emotion": [0, 0, 4],
    }
    assert read("07d-context-str.jsonl")[0].context == {"context": "At the harbour"}
    assert read("07y-friends.json")[0].context["episode_id"] == "s01_e01"


def test_json_says_what_was_left_out() -> None:
    result = CliRunner().invoke(cli, ["stats", str(FILES / "02f-tools.jsonl"), "--json"])
    found = json.loads(result.stdout)
    assert found["left_out"] == {"tool": 4}
    assert "4 tool" in found["warnings"][0]
    assert "4 tool" in result.stderr


@pytest.mark.parametrize(
    ("name", "column", "first"),
    [
        ("15a-sharegpt-aug.jsonl", "conversations", {"from": "system", "value": HARBOUR}),
        ("15b-messages-aug.jsonl", "messages", {"role": "system", "content": HARBOUR}),
    ],
)
def test_augment_carries_system_messages_over(
    name: str, column: str, first: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = ["augment", str(FILES / name), "--model", "scripted", "--n", "2", "--out", str(out)]
    assert CliRunner().invoke(cli, command).exit_code == 0
    lines = (out / "augmented" / name).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row[column][0] for row in rows] == [first, first]
    assert "system message" in (out / "augmented" / "README.md").read_text("utf-8")
    again = list(open_corpus(out / "augmented" / name))
    assert [one.context["system"] for one in again] == [HARBOUR, HARBOUR]


@pytest.mark.parametrize(("value", "personas"), [("null", 2), ('""', 2), ('"A cook"', 3)])
def test_a_persona_of_null_is_one_without_text(value: str, personas: int, tmp_path: Path) -> None:
    path = tmp_path / "personas.jsonl"
    rows = ['"A baker"', value, '"A nurse"']
    path.write_text("".join(f'{{"persona": {row}}}\n' for row in rows), encoding="utf-8")
    result = CliRunner().invoke(cli, ["personas", "stats", str(path), "--json"])
    assert json.loads(result.stdout)["personas"] == personas


def test_personas_in_utf_16() -> None:
    result = CliRunner().invoke(cli, ["personas", "stats", str(FILES / "14g-utf16.txt"), "--json"])
    assert json.loads(result.stdout)["personas"] == 2
