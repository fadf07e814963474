"""A complete report, as a Markdown page, of two small runs whose rows are all written here.

`tests/data/report/report.md` is the expected page. After an intended change, check the differences
and replace the file with the new page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

PAGE = Path(__file__).parents[1] / "data" / "report" / "report.md"

Row = dict[str, Any]

TALKS = [
    [
        ("Ana Silva", "Good morning, Bo. Is the kiln hot yet?"),
        ("Bo Lindqvist", "Almost, it needs another hour."),
        ("Ana Silva", "Then I will glaze the blue bowls first."),
        ("Cem Arslan", "Ana, leave one bowl for me, please."),
        ("Ana Silva", "Of course, Cem, the small one is yours."),
    ],
    [
        ("Bo Lindqvist", "Who broke the big vase?"),
        ("Cem Arslan", "It was the cat, Bo, not me."),
        ("Bo Lindqvist", "The cat again! Who broke the big vase?"),
        ("Ana Silva", "Goodbye, you two."),
        ("Cem Arslan", "Bye!"),
        ("Bo Lindqvist", "See you tomorrow."),
    ],
    [
        ("Cem Arslan", "The wheel squeaks."),
        ("Bo Lindqvist", "Oil helps."),
    ],
]


def card(age: int, gender: str) -> Row:
    words = {"lifestyle": "early", "speech_style": "brief", "recent_memory": "a kiln"}
    return {
        "age": age,
        "gender": gender,
        "qualities": ["calm", "quick", "shy"],
        **words,
        "long_term_memory": "mud",
    }


PEOPLE = [
    {"name": "Ana Silva", "card": card(29, "female")},
    {"name": "Bo Lindqvist", "card": card(45, "man")},
    {"name": "Cem Arslan", "card": card(70, "unknown")},
]


def experience(task: int, topic: str, people: list[Row]) -> Row:
    return {
        "id": f"e-{task}",
        "task": task,
        "personas": [{**one, "source": "generated"} for one in people],
        "relations": "They share a pottery.",
        "situation": f"A day at work, number {task}.",
        "topic": topic,
        "starter": {"speaker": people[0]["name"], "text": "So."},
        "shots": ["seed"],
        "admitted": True,
        "similarity": 0.25,
    }


def conversation(task: int, talk: list[tuple[str, str]], **more: Any) -> Row:
    turns: list[Row] = [{"speaker": who, "text": text} for who, text in talk]
    turns[1]["selection"] = {"candidates": ["Ana Silva"], "reply": "Bo", "repair": "no name"}
    turns[-1]["selection"] = {"candidates": ["Ana Silva"], "reply": "Ana Silva"}
    turns[-1] |= {"reasks": ["echo"], "target_words": 3} if task else {"lapse": "cut_off"}
    row = {"id": f"c-{task}", "task": task, "method": "convogen", "experience": f"e-{task}"}
    row |= {"participants": [one["name"] for one in PEOPLE], "turns": turns, "ended": "max_turns"}
    return {**row, "context": {"topic": "pots", "situation": f"number {task}"}, **more}


def scores(judge: str, aspects: list[str], values: list[float | None]) -> list[Row]:
    """Return the scores of each conversation, which grow by a tenth from aspect to aspect."""
    return [
        {
            "conversation": f"c-{task}",
            "judge": judge,
            "aspect": aspect,
            "value": None if value is None else value + at / 10,
            **({"reason": "refusal: no"} if value is None else {"method": "logprobs", "mass": 0.8}),
        }
        for task, value in enumerate(values)
        for at, aspect in enumerate(aspects)
    ]


def call(task: int, role: str, prompt: int, reply: int) -> Row:
    tokens = {"prompt_tokens": prompt, "completion_tokens": reply, "cached_tokens": prompt // 4}
    return {"task": task, "role": role, "model": "tiny", **tokens, "attempts": 1, "seconds": 0.5}


def write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def written(folder: Path, iterative: bool, tasks: int) -> Path:
    """Write a run with this number of conversations, a failure, and a rejected conversation."""
    topics = ["glazing bowls", "a broken vase", "bowls, glazing"]
    write(
        folder / "experiences.jsonl",
        [experience(at, topics[at], PEOPLE[: 3 - at % 2]) for at in range(tasks)]
        + [experience(tasks + 1, "clay", PEOPLE[:2])],
    )
    write(folder / "conversations.jsonl", [conversation(at, TALKS[at]) for at in range(tasks)])
    lost = {"id": "f", "task": tasks, "stage": "experience", "kind": "cut_off", "message": "no end"}
    write(folder / "failures.jsonl", [lost])
    last = tasks + 1
    talk = conversation(last, TALKS[2])
    write(
        folder / "rejected.jsonl",
        [
            {
                "id": talk["id"],
                "task": last,
                "gate": "min_turns",
                "reason": "2 turns",
                "conversation": talk,
            }
        ],
    )
    calls = [call(at, role, 400 + at, 40) for at in range(tasks) for role in ("agent", "generator")]
    write(folder / "ledger.jsonl", calls)
    model = {"name": "tiny", "kind": "endpoint", "price": {"input": 2.0, "output": 8.0}}
    essence = {"method": "convogen", "iterative": iterative, "shots": 1, "seed": 4}
    essence |= {"prompts": {"agent": "aa11"}, "sources": {"experiences": "bb22"}}
    manifest = {
        "name": "GPIS-s" if iterative else "GPFS-s",
        "fingerprint": "cc33" if iterative else "dd44",
        "n": tasks,
        "complete": not iterative,
        "started_at": "2026-01-02T03:04:05.000Z",
        "packages": {"convogen": "0.1.0"},
        "models": {"agent": model, "generator": model},
        "experiment": essence,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def judged(folder: Path, judge: str, rows: list[Row]) -> None:
    write(folder / "scores" / f"{judge}.jsonl", rows)
    asked = {**call(0, "judge", 300, 2), "model": "big"}
    write(folder / "scores" / judge / "ledger.jsonl", [asked])
    told = {"model": "big", "scale": [1, 5] if judge == "geval" else [1, 3]}
    manifest = {"fingerprint": "ee55", "kind": "endpoint", "judged_by": told}
    (folder / "scores" / judge / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("snapshot")
    fixed, iterative = written(folder / "fixed", False, 3), written(folder / "iterative", True, 2)
    aspects = "topic situation qualities speech_style age lifestyle memory relations overall"
    judged(fixed, "geval", scores("geval", aspects.split(), [4.0, 3.0, None]))
    judged(iterative, "geval3", scores("geval3", ["coherence"], [2.0, 3.0]))
    human = folder / "people.jsonl"
    write(human, [])
    human.write_text('["Tea?", "Yes, please do.", "Here."]\n["No.", "Well then."]\n')
    out = folder / "report"
    compared = ("--against", human, "--baseline", fixed)
    ended = convogen("report", fixed, iterative, *compared, "--out", out)
    assert ended.status == 0, ended.err
    return (out / "report.md").read_text("utf-8").replace(str(folder), "/runs")


def test_the_page_is_as_it_was(report: str) -> None:
    assert report.splitlines() == PAGE.read_text("utf-8").splitlines()
