"""Every format, written as its authors write it, is read as conversations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.records import Conversation, Selection, Turn

MESSAGE = {"message_tree_id": "m1", "lang": "en"}
TREE = {
    "message_tree_id": "m1",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "m1",
        "text": "How?",
        "role": "prompter",
        "lang": "en",
        "replies": [
            {"message_id": "m2", "text": "So.", "role": "assistant", "replies": []},
            {
                "message_id": "m3",
                "text": "Or so.",
                "role": "assistant",
                "replies": [
                    {"message_id": "m4", "text": "Thanks", "role": "prompter", "replies": []}
                ],
            },
        ],
    },
}
FLAT = [
    MESSAGE | {"message_id": "m1", "parent_id": None, "role": "prompter", "text": "How?"},
    MESSAGE | {"message_id": "m2", "parent_id": "m1", "role": "assistant", "text": "So."},
    MESSAGE | {"message_id": "m3", "parent_id": "m1", "role": "assistant", "text": "Or so."},
    MESSAGE | {"message_id": "m4", "parent_id": "m3", "role": "prompter", "text": "Thanks"},
]
VOTE = {
    "question_id": "q",
    "model_a": "alpaca",
    "model_b": "vicuna",
    "winner": "model_b",
    "conversation_a": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "1"}],
    "conversation_b": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "2"}],
    "turn": 1,
}
LINES: dict[str, tuple[str, Any, list[tuple[str, str]], dict[str, Any]]] = {
    "turns": (
        "turns",
        {"id": "x", "turns": [{"speaker": "Ana", "text": "Hi"}], "topic": "tea", "none": None},
        [("Ana", "Hi")],
        {"topic": "tea"},
    ),
    "messages": (
        "messages",
        {
            "messages": [
                {"role": "system", "content": "Be kind"},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image"}]},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "assistant", "name": "bob", "content": "Hello"},
            ]
        },
        [("user", "Hi"), ("bob", "Hello")],
        {"system": "Be kind"},
    ),
    "sharegpt": (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]},
        [("human", "Hi"), ("gpt", "Yo")],
        {},
    ),
    "plain": (
        "plain",
        ["Hi", "Yo", "Bye"],
        [("user1", "Hi"), ("user2", "Yo"), ("user1", "Bye")],
        {},
    ),
    "personachat": (
        "personachat",
        {"speaker persona": ["i ski."], "listener persona": [], "dialogue": ["hi", "hey"]},
        [("user1", "hi"), ("user2", "hey")],
        {"speaker persona": ["i ski."], "listener persona": []},
    ),
    "personachat histories": (
        "personachat",
        {
            "personality": ["i ski."],
            "utterances": [
                {"history": ["hi"], "candidates": ["no", "hey"]},
                {"history": ["hi", "hey", "so"], "candidates": ["no", "yes"]},
            ],
        },
        [("user1", "hi"), ("user2", "hey"), ("user1", "so"), ("user2", "yes")],
        {"personality": ["i ski."]},
    ),
    "dailydialog rows": (
        "dailydialog",
        {"dialog": ["Hi", "Hey"], "act": [1, 1], "emotion": [0, 4]},
        [("user1", "Hi"), ("user2", "Hey")],
        {"act": [1, 1], "emotion": [0, 4]},
    ),
    "samsum": (
        "samsum",
        {"id": "13818513", "summary": "Tea.", "dialogue": "Amanda: Tea?\r\nJerry: Sure!\r\nNow"},
        [("Amanda", "Tea?"), ("Jerry", "Sure!\nNow")],
        {"summary": "Tea."},
    ),
    "dialogsum": (
        "dialogsum",
        {"fname": "dev_0", "dialogue": "#Person1#: Time: ten?\n#Person2#: No", "topic": "time"},
        [("#Person1#", "Time: ten?"), ("#Person2#", "No")],
        {"topic": "time"},
    ),
    "lmsys": (
        "lmsys",
        {"conversation_id": "c", "model": "koala", "conversation": VOTE["conversation_a"]},
        [("user", "Hi"), ("assistant", "1")],
        {"model": "koala"},
    ),
    "seed": (
        "seeds",
        {"conversation_id": ["a", "b"], "conversation": [{"role": "human", "content": "Hi"}]},
        [("human", "Hi")],
        {"conversation_id": ["a", "b"]},
    ),
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in conversation.turns]


@pytest.mark.parametrize("case", LINES)
def test_a_row_is_recognised_and_read(case: str, tmp_path: Path) -> None:
    name, row, turns, context = LINES[case]
    corpus = open_corpus(write(tmp_path / "data.jsonl", row, row))
    conversations = list(corpus)
    assert corpus.format.name == name
    assert [said(one) for one in conversations] == [turns, turns]
    assert conversations[0].context == context
    assert corpus.bad_rows.count == 0


@pytest.mark.parametrize("case", LINES)
def test_the_same_rows_in_a_json_array_and_in_gzip(case: str, tmp_path: Path) -> None:
    _, row, turns, _ = LINES[case]
    array = tmp_path / "data.json"
    array.write_text(json.dumps([row, row], indent=1), encoding="utf-8")
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress((json.dumps(row) + "\n").encode() * 2))
    for path in (array, packed):
        assert [said(one) for one in open_corpus(path)] == [turns, turns]


def test_splits_in_one_object_are_read_one_after_the_other(tmp_path: Path) -> None:
    _, row, turns, _ = LINES["personachat histories"]
    path = tmp_path / "personachat_self_original.json"
    path.write_text(json.dumps({"train": [row], "valid": [row, row]}), encoding="utf-8")
    conversations = list(open_corpus(path))
    assert [said(one) for one in conversations] == [turns] * 3
    assert len({one.id for one in conversations}) == 3


def test_our_run_keeps_everything_of_the_record(tmp_path: Path) -> None:
    turn = Turn(
        speaker="Ana", text="Hi", selection=Selection(candidates=["Ana"], reply="?", repair="no")
    )
    record = Conversation(id="c1", method="convogen", participants=["Ana", "Bo"], turns=[turn])
    (tmp_path / "conversations.jsonl").write_bytes(record.to_line())
    corpus = open_corpus(tmp_path)
    assert corpus.format.name == "convogen"
    assert list(corpus) == [record]


def test_parlai_episodes_begin_where_the_numbers_start_again(tmp_path: Path) -> None:
    path = tmp_path / "valid_both_original.txt"
    path.write_text(
        "1 your persona: i ski.\n2 partner's persona: i read.\n3 hi\they\t\tno|hey\n4 so ?\tyes\n"
        "1 __SILENCE__\tanyone ?\n",
        encoding="utf-8",
    )
    first, second = open_corpus(path)
    assert [text for _, text in said(first)] == ["hi", "hey", "so ?", "yes"]
    assert first.context == {"personas": {"user2": ["i ski."], "user1": ["i read."]}}
    assert said(second) == [("user2", "anyone ?")]


def test_dailydialog_text(tmp_path: Path) -> None:
    path = tmp_path / "dialogues_text.txt"
    path.write_text("Hi , you . __eou__ Hello ! __eou__\nBye __eou__\n", encoding="utf-8")
    first, second = open_corpus(path)
    assert said(first) == [("user1", "Hi , you ."), ("user2", "Hello !")]
    assert said(second) == [("user1", "Bye")]


def test_empatheticdialogues_csv_groups_and_puts_commas_back(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(
        "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"
        'hit:0_conv:1,1,sentimental,I remember_comma_ well,1,He said "oh_comma_ no.,5|5|5,\n'
        "hit:0_conv:1,2,sentimental,I remember_comma_ well,0,Who?,5|5|5,\n"
        "hit:1_conv:2,1,afraid,Dark,3,Help,5|5|5,\n",
        encoding="utf-8",
    )
    first, second = open_corpus(path)
    assert said(first) == [("speaker1", 'He said "oh, no.'), ("speaker0", "Who?")]
    assert first.id == "hit:0_conv:1"
    assert first.context == {"context": "sentimental", "prompt": "I remember, well"}
    assert len(second.turns) == 1


def test_meld_csv_groups_by_dialogue(tmp_path: Path) -> None:
    path = tmp_path / "dev_sent_emo.csv"
    path.write_text(
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode\n"
        '1,"Oh, no.",Phoebe,sadness,negative,0,0,4,7\n2,What?,Monica,surprise,negative,0,1,4,7\n'
        "3,Or!,Ross,neutral,neutral,1,0,4,4\n",
        encoding="utf-8",
    )
    first, second = open_corpus(path)
    assert said(first) == [("Phoebe", "Oh, no."), ("Monica", "What?")]
    assert first.context["emotions"] == ["sadness", "surprise"]
    assert (first.id, second.participants) == ("dev_sent_emo-0", ["Ross"])


@pytest.mark.parametrize("rows", [[TREE], FLAT], ids=["trees", "messages"])
def test_oasst1_gives_a_conversation_a_thread(rows: list[Any], tmp_path: Path) -> None:
    corpus = open_corpus(write(tmp_path / "oasst.jsonl", *rows))
    threads = {one.id: [text for _, text in said(one)] for one in corpus}
    assert corpus.format.name == "oasst1"
    assert threads == {"m2": ["How?", "So."], "m4": ["How?", "Or so.", "Thanks"]}


def test_oasst1_names_the_line_of_an_orphan(tmp_path: Path) -> None:
    corpus = open_corpus(write(tmp_path / "oasst.jsonl", FLAT[0], FLAT[3]))
    with pytest.raises(SourceError, match="line 2: parent 'm3'"):
        list(corpus)
    assert [row.line for row in corpus.bad_rows.first] == [2]


def test_arena_votes_give_both_sides(tmp_path: Path) -> None:
    first, second = open_corpus(write(tmp_path / "arena.jsonl", VOTE))
    assert (first.id, second.id) == ("q-a", "q-b")
    assert (first.context["model"], second.context["model"]) == ("alpaca", "vicuna")
    assert first.context["winner"] == second.context["winner"] == "model_b"
    assert said(first)[1] != said(second)[1]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [LINES["dailydialog rows"][1], LINES["dailydialog rows"][1]]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    corpus = open_corpus(tmp_path / "data.parquet")
    assert [said(one) for one in corpus] == [LINES["dailydialog rows"][2]] * 2


@pytest.mark.parametrize("split", ["", ":train"])
def test_a_data_set_through_datasets_is_streamed(
    split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "train.jsonl", LINES["dailydialog rows"][1])
    write(tmp_path / "test.jsonl", LINES["dailydialog rows"][1])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    corpus = open_corpus(f"hf:{tmp_path}{split}")
    assert corpus.format.name == "dailydialog"
    assert len(list(corpus)) == (1 if split else 2)


def test_a_hub_data_set_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="check the name") as caught:
        open_corpus(f"hf:{tmp_path / 'gone'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["hf:", "hf:a:b:c"])
def test_a_malformed_hub_name_says_how_to_write_it(name: str) -> None:
    with pytest.raises(SourceError, match="OWNER/NAME"):
        open_corpus(name)


def test_a_named_format_wins_over_the_recognised_one(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}], "turns": [{"speaker": "b", "text": "c"}]}
    path = write(tmp_path / "both.jsonl", row)
    assert said(next(iter(open_corpus(path)))) == [("b", "c")]
    assert said(next(iter(open_corpus(path, "messages")))) == [("user", "a")]


def test_dailydialog_labels_are_read_from_the_files_beside_it(tmp_path: Path) -> None:
    files = {
        "dialogues_train.txt": "Hi ! __eou__ Hello ! __eou__\nBye __eou__\n",
        "dialogues_act_train.txt": "1 2 \n",
        "dialogues_emotion_train.txt": "0 4 \n6 \n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    first, second = open_corpus(tmp_path / "dialogues_train.txt")
    assert said(first) == [("user1", "Hi !"), ("user2", "Hello !")]
    assert first.context == {"act": [1, 2], "emotion": [0, 4]}
    assert second.context == {"emotion": [6]}
