"""Preference pairs: which replies answer the same prompt, and which reply is chosen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, convogen
from export_runs import dialogues, played, spoken, strict_tokenizer, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.exports import Item, open_exporter
from convogen.records import Conversation, Score, Turn

BEGUN = ("Ahi", "Bhello", "Cso")
OLD, NEW = (*BEGUN, "Bold reply", "Aend"), (*BEGUN, "Bnew reply", "Cother end")


def scored(conversation: str, **aspects: float | None) -> list[Score]:
    return [
        Score(conversation=conversation, judge="geval", aspect=aspect, value=value)
        for aspect, value in aspects.items()
    ]


def item(said: Sequence[str], name: str, **aspects: float | None) -> Item:
    """Return a conversation of one experience with these scores."""
    conversation, _ = played(0, spoken(*said))
    _, experience = played(0, spoken(*BEGUN))
    people = conversation.model_copy(update={"id": name, "participants": ["A", "B", "C"]})
    return Item(people, experience, tuple(scored(name, **aspects)))


def compared(
    first: Item, *others: Item, **options: Any
) -> tuple[list[dict[str, Any]], Counter[str]]:
    exporter = open_exporter("dpo", {"judge": "geval", **options})
    counts: Counter[str] = Counter()
    whole = Item(first.conversation, first.experience, first.scores, others)
    return list(exporter.rows(whole, counts)), counts


def write_replay(run: Path, name: str, said: Sequence[str], scores: Mapping[str, float]) -> Path:
    """Write a judged replay next to a run, as `convogen replay --conversation` would."""
    conversation, experience = played(0, spoken(*said))
    conversation = conversation.model_copy(update={"id": f"c-{name}"})
    origin = {"run": str(run), "fingerprint": "0123456789abcdef", "conversation": "c-0"}
    return write_run(
        run.with_name(f"{run.name}.c-0.turn-4.{name}"),
        [(conversation, experience.model_copy(update={"id": "e-0"}))],
        scored(f"c-{name}", **scores),
        fingerprint=name,
        replay_of={**origin, "from_turn": 4},
        models={"agent": {"name": "/srv/another.gguf", "kind": "embedded"}},
    )


def dpo(run: Path, out: Path, *more: object) -> Ended:
    return convogen("export", run, "--to", "dpo", "--judge", "geval", "--out", out, *more)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    records = [played(0, spoken(*OLD)), played(1, spoken(*OLD))]
    scores = [*scored("c-0", topic=2, overall=3), *scored("c-1", topic=2, overall=3)]
    return write_run(tmp_path / "run", records, scores)


def test_the_better_reply_to_the_same_prompt_is_chosen() -> None:
    rows, counts = compared(item(OLD, "old", overall=2), item(NEW, "new", overall=4))
    (row,) = rows
    assert row["perspective"] == "B"
    assert [one["role"] for one in row["prompt"]] == ["system", "user", "assistant", "user"]
    assert row["prompt"][-1]["content"] == "C: so"
    assert row["chosen"] == [{"role": "assistant", "content": "new reply"}]
    assert row["rejected"] == [{"role": "assistant", "content": "old reply"}]
    assert (row["score_chosen"], row["score_rejected"]) == (4, 2)
    assert (row["chosen_from"], row["rejected_from"]) == ("new", "old")
    assert not counts["conversations_not_comparable"]


def test_trl_takes_the_pairs() -> None:
    data_utils: Any = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    (row,), _ = compared(item(OLD, "old", overall=2), item(NEW, "new", overall=4))
    assert data_utils.is_conversational(row)
    found = data_utils.apply_chat_template(row, strict_tokenizer())
    assert found["prompt"].endswith("[INST] C: so[/INST]")
    assert (found["chosen"], found["rejected"]) == (" new reply</s>", " old reply</s>")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((*BEGUN, "Anew reply", "Bend"), "somebody else speaks next"),
        (("Ahi", "Bhello", "Csay", "Bnew reply"), "somebody else has said something else"),
        (("Ahello", *NEW[1:]), "another first turn"),
        (OLD, "the same words"),
    ],
)
def test_what_does_not_answer_the_same_prompt_is_not_compared(
    said: Sequence[str], why: str
) -> None:
    rows, counts = compared(item(OLD, "old", overall=1), item(said, "new", overall=5))
    answered = [row for row in rows if row["prompt"][-1]["content"].endswith("C: so")]
    assert answered == [], why
    assert len(rows) + counts["conversations_not_comparable"] >= 1


@pytest.mark.parametrize(
    ("first", "second", "options", "pairs"),
    [
        ({"overall": 3.0}, {"overall": 4.0}, {}, 1),
        ({"overall": 3.0}, {"overall": 3.9}, {}, 0),
        ({"overall": 3.0}, {"overall": 3.9}, {"margin": 0.9}, 1),
        ({"overall": 3.0, "topic": 5.0}, {"overall": 4.0, "topic": 4.0}, {"margin": 0.1}, 0),
        ({"overall": 3.0, "topic": 5.0}, {"overall": 4.0, "topic": 4.0}, {"aspect": "topic"}, 1),
        ({"overall": 3.0}, {"overall": None}, {}, 0),
        ({"overall": 3.0}, {"overall": 5.0, "topic": 5.0}, {}, 0),
        ({}, {"overall": 5.0}, {}, 0),
        ({"overall": 3.0}, {"overall": 5.0}, {"aspect": "wit"}, 0),
    ],
)
def test_the_margin_and_the_scores_that_count(
    first: dict[str, float], second: dict[str, float], options: dict[str, Any], pairs: int
) -> None:
    rows, counts = compared(item(OLD, "old", **first), item(NEW, "new", **second), **options)
    assert len(rows) == pairs
    for row in rows:
        assert row["score_chosen"] - row["score_rejected"] >= options.get("margin", 1) - 1e-9
    assert pairs or counts["pairs_below_margin"] or counts["conversations_without_scores"]


def test_conversations_that_go_on_from_one_reply_are_averaged() -> None:
    again = (*NEW[:4], "Csomething else")
    rows, _ = compared(
        item(OLD, "old", overall=3), item(NEW, "new", overall=5), item(again, "too", overall=2)
    )
    assert [(row["perspective"], row["score_chosen"]) for row in rows] == []
    rows, _ = compared(
        item(OLD, "old", overall=1), item(NEW, "new", overall=5), item(again, "too", overall=2)
    )
    assert [(row["score_chosen"], row["score_rejected"]) for row in rows] == [(3.5, 1)]


@settings(max_examples=80)
@given(
    dialogues(least=2),
    st.lists(st.tuples(dialogues(), st.integers(0, 9), st.floats(1, 5)), max_size=4),
    st.floats(0.1, 2),
)
def test_pairs_differ_answer_one_prompt_and_keep_the_margin(
    turns: list[Turn], others: list[tuple[list[Turn], int, float]], margin: float
) -> None:
    def made(name: str, said: list[Turn], score: float) -> Item:
        people = list(dict.fromkeys(turn.speaker for turn in turns))
        chat = Conversation(id=name, participants=people, turns=said)
        return Item(chat, None, tuple(scored(name, overall=score)))

    alternatives = [
        made(f"c-{at}", [*turns[: 1 + upto], *more], score)
        for at, (more, upto, score) in enumerate(others)
    ]
    rows, _ = compared(made("c", turns, 3), *alternatives, margin=margin)
    for row in rows:
        roles = [one["role"] for one in row["prompt"] if one["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert row["chosen"] != row["rejected"]
        assert row["score_chosen"] - row["score_rejected"] >= margin - 1e-9
    replies = Counter(
        (str(row["prompt"]), row["perspective"], str({str(row["chosen"]), str(row["rejected"])}))
        for row in rows
    )
    assert all(n == 1 for n in replies.values()), "no pair may occur twice or in both orders"


def test_replays_beside_a_run_are_found_and_said_in_the_card(run: Path, tmp_path: Path) -> None:
    write_replay(run, "better", NEW, {"topic": 4, "overall": 5})
    stranger = write_replay(run, "stranger", NEW, {"topic": 1, "overall": 1})
    manifest = json.loads((stranger / "manifest.json").read_text())
    manifest["replay_of"]["fingerprint"] = "of another run"
    (stranger / "manifest.json").write_text(json.dumps(manifest))
    ended = dpo(run, tmp_path / "out")
    assert ended.status == 0, ended.err
    (line,) = (tmp_path / "out" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["score_chosen"] == 4.5
    described = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert described["left_out"] == 1
    assert [one["fingerprint"] for one in described["alternatives"]] == ["better"]
    assert described["judged_by"] == {"judge": "geval", "model": "a-judge"}
    card = (tmp_path / "out" / "README.md").read_text("utf-8").replace("\\", "")
    assert "**geval** (a-judge)" in card
    assert "agent another.gguf" in card
    assert "/srv/" not in card + json.dumps(described)


def test_another_run_of_the_same_experience_is_named(run: Path, tmp_path: Path) -> None:
    conversation, experience = played(7, spoken(*NEW), situation="place 0")
    played_anew = experience.model_copy(update={"situation": "place 0", "task": 0})
    first = conversation.model_copy(update={"task": 0})
    other = write_run(
        tmp_path / "elsewhere", [(first, played_anew)], scored("c-7", topic=4, overall=5)
    )
    assert "--alternatives" in dpo(run, tmp_path / "out").complaint
    ended = dpo(run, tmp_path / "out", "--alternatives", other)
    assert ended.status == 0, ended.err
    (line,) = (tmp_path / "out" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["chosen_from"] == "c-7"


def test_two_chatbots_on_one_seed_are_compared(tmp_path: Path) -> None:
    def answered(name: str, reply: str, score: float) -> Path:
        turns = [Turn(speaker="user", text="Hi"), Turn(speaker="assistant", text=reply)]
        chat = Conversation(id=f"c-{name}", task=0, turns=turns, participants=["user", "assistant"])
        folder = tmp_path / name
        write_run(folder, [played(0, turns)], scored(chat.id, overall=score))
        (folder / "conversations.jsonl").write_bytes(chat.to_line())
        return folder

    first, second = answered("one", "What?", 2), answered("two", "Hello!", 4)
    ended = dpo(first, tmp_path / "out", "--alternatives", second)
    assert ended.status == 0, ended.err
    (line,) = (tmp_path / "out" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    row = json.loads(line)
    assert row["prompt"] == [{"role": "user", "content": "Hi"}]
    assert (row["perspective"], row["chosen"][0]["content"]) == ("assistant", "Hello!")


def test_an_alternative_without_scores_is_left_out_and_told(run: Path, tmp_path: Path) -> None:
    write_replay(run, "better", NEW, {"topic": 4, "overall": 5})
    write_replay(run, "unjudged", (*BEGUN, "Bthird reply"), {})
    ended = dpo(run, tmp_path / "out")
    assert ended.status == 0
    assert "not compared because it has no scores" in ended.err
    assert "unjudged" in ended.err


def no_judge(run: Path) -> list[str]:
    write_replay(run, "better", NEW, {"topic": 4, "overall": 5})
    (run / "scores" / "geval.jsonl").unlink()
    return [f"`convogen evaluate {run} --judge geval`"]


def no_replay(run: Path) -> list[str]:
    return ["convogen replay", "--alternatives"]


def no_scores_of_replays(run: Path) -> list[str]:
    replay = write_replay(run, "better", NEW, {})
    return [f"`convogen evaluate {replay} --judge geval`"]


def too_close(run: Path) -> list[str]:
    write_replay(run, "better", NEW, {"topic": 2, "overall": 3.5})
    return ["pairs: 1", "--margin"]


def another_judge(run: Path) -> list[str]:
    replay = write_replay(run, "better", NEW, {"topic": 5, "overall": 5})
    manifest = replay / "scores" / "geval" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("judge-1", "judge-2"))
    return ["differs from that of", str(replay)]


def another_speaker(run: Path) -> list[str]:
    write_replay(run, "better", (*BEGUN, "Anew", "Bend"), {"topic": 5, "overall": 5})
    return ["same prompt"]


def failed_scores(run: Path) -> list[str]:
    replay = write_replay(run, "better", NEW, {"topic": 5, "overall": 5})
    path = replay / "scores" / "geval.jsonl"
    path.write_text(path.read_text().replace(',"value":5.0', ""))
    return ["gave no scores", "convogen evaluate"]


@pytest.mark.parametrize(
    "prepare",
    [
        no_judge,
        no_replay,
        no_scores_of_replays,
        too_close,
        another_judge,
        another_speaker,
        failed_scores,
    ],
)
def test_without_a_pair_nothing_is_written_and_one_line_says_what_to_do(
    prepare: Any, run: Path, tmp_path: Path
) -> None:
    told = prepare(run)
    ended = dpo(run, tmp_path / "out")
    assert ended.status == 2
    assert all(text in ended.complaint for text in told), ended.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("to", "args", "complaint"),
    [
        (
            "dpo",
            [],
            "judge: is missing: judge whose scores rank the replies",
        ),
        ("dpo", ["--judge", "../geval"], "judge"),
        ("dpo", ["--judge", "geval", "--margin", "0"], "margin"),
        ("dpo", ["--judge", "geval", "--margin", "nan"], "margin"),
        ("dpo", ["--judge", "geval", "--no-merge"], "unknown key 'merge'; allowed: perspective"),
        ("messages", ["--judge", "geval"], "unknown key 'judge'; allowed: perspective"),
        ("messages", ["--alternatives", "x"], "does not use alternatives"),
    ],
)
def test_options_that_do_not_fit_are_told(
    to: str, args: list[str], complaint: str, run: Path, tmp_path: Path
) -> None:
    ended = convogen("export", run, "--to", to, *args, "--out", tmp_path / "out")
    assert ended.status == 2
    assert complaint in ended.complaint
    assert not (tmp_path / "out").exists()
