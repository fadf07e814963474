"""`convogen evaluate` from a user's point of view."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from command_line import convogen
from rich.console import Console
from run_rows import first_tasks

from convogen import Experiment, run
from convogen.cli._shared.diasynth_tables import diasynth_tables
from convogen.cli.evaluate import _judge_table
from convogen.judges.fed import FOLLOW_UPS
from convogen.judges.gptscore import QUESTIONS
from convogen.reports.groundedness import AspectScore, JudgeCost, JudgeSummary
from convogen.reports.measured import measure_source


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    run(Experiment.load("GPFS-s", {"n": 2, "models": "scripted", "max_turns": 4}), folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "run"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "tea.jsonl"
    path.write_text(json.dumps(["Tea?", "Yes."]) + "\n" + json.dumps(["No tea?", "None."]) + "\n")
    return path


def test_statistics_are_written_and_printed(folder: Path, corpus: Path) -> None:
    ended = convogen("evaluate", folder, "--against", corpus, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    (report,) = found["runs"]
    assert report["text"]["conversations"] == 2
    assert report["paper"]["words_per_conversation"] > report["text"]["words_per_conversation"]
    assert report["distances"][str(corpus)]["turn_length"] > 0
    assert report["groundedness"] is None
    assert list(found["against"]) == [str(corpus)]
    written = json.loads((folder / "scores" / "statistics.json").read_text())
    assert {key: report[key] for key in written} == written


def test_judged_with_tables_and_cost(folder: Path) -> None:
    ended = convogen("evaluate", folder, "--judge", "geval", "--model", "scripted", "--n", "1")
    assert ended.status == 0, ended.err
    assert "Groundedness of run, 1 to 5, judged by scripted" in ended.out
    assert "Groundedness, 1 to 5 (table IV)" in ended.out
    assert "GPIS-s, published" in ended.out
    assert "table VI" not in ended.out
    assert "speech_style" in ended.out
    table = ended.out[ended.out.index("(table IV)") :].splitlines()[1:]
    assert any(line.split()[1:3] == ["GPIS-s", "*"] for line in table), "names must not be wrapped"
    assert "18 calls" in ended.out
    assert "PERSONA-CHAT, published" in ended.out
    rows = (folder / "scores" / "geval.jsonl").read_text().splitlines()
    assert len(rows) == 9
    shown = convogen("show", folder, "--json")
    judge = [row for row in json.loads(shown.out)["ledger"] if row["role"] == "judge"]
    assert [row["calls"] for row in judge] == [18]


def test_the_published_tables_are_shown_before_any_judging(folder: Path) -> None:
    out = convogen("evaluate", folder).out
    for title, row in (("(table IV)", "GPFS-s *"), ("(table VI)", "PCIS-s *")):
        table = out[out.index(title) :]
        assert row in table
        ours = next(line for line in table.splitlines() if line.startswith("│ run "))
        assert set(ours) <= set("│ run–")
    assert "--judge geval" in out


@pytest.mark.parametrize(
    ("judge", "table", "published", "otherwise"),
    [
        ("geval3", "5: G-Eval, 1 to 3", "2.524 to 3", "The wording of the questions is convogen's"),
        ("gptscore", "4: GPTScore", "0.0039 to 0.0286", "but with `Answer:` in the paper"),
        ("fed", "3: FED scores", "0.8439 to 0.9684", "Speaker names were not shown"),
    ],
)
def test_other_judges_stand_beside_the_tables_of_diasynth(
    judge: str, table: str, published: str, otherwise: str, folder: Path
) -> None:
    keys = ("--set", "over=dialogue") if judge == "fed" else ()
    judging = ("--judge", judge, "--model", "scripted", "--n", "1", "--fresh", *keys)
    ended = convogen("evaluate", folder, *judging)
    assert ended.status == 0, ended.err
    assert f"DiaSynth, table {table}" in ended.out
    assert published in ended.out
    caption = " ".join(ended.out.split())
    assert otherwise in caption
    assert "Scored by scripted; the published scores are by Phi-3.5-mini" in caption


def a_summary() -> JudgeSummary:
    return JudgeSummary(
        judge="fed",
        conversations=1,
        model="transformers:microsoft/Phi-3.5-mini-instruct",
        kind="transformers",
        scale=None,
        over="dialogue",
        speakers=True,
        own_wording=False,
        fingerprint="f",
        prompts={},
        aspects={name: AspectScore(1.0, None, None, 1, 0) for name in FOLLOW_UPS},
        average=None,
        table=None,
        methods={},
        mean_mass=None,
        missing={},
        cost=JudgeCost(0, 0, 0, 0, None),
    )


def test_a_judge_that_names_no_method_is_not_said_to_use_an_unknown_one() -> None:
    found = replace(a_summary(), methods={"unknown": 16})
    assert f"{_judge_table('run', found).caption}".startswith("Scores: 16. 0 calls, 0 tokens")
    found = replace(found, methods={"unknown": 16, "logprobs": 2})
    assert f"{_judge_table('run', found).caption}".startswith("Scores: 16, 2 by logprobs. ")


def test_fed_as_the_authors_ask_it_has_no_reservation_but_the_wording() -> None:
    judged = a_summary()
    (table,) = diasynth_tables({}, {"run": {"fed": judged}})
    ours = (
        "The wording of the follow-ups is convogen's; to use the paper's wording, set the "
        "follow_ups key."
    )
    assert f"{table.caption}" == ours
    own = replace(judged, own_wording=True)
    (table,) = diasynth_tables({}, {"run": {"fed": own}})
    assert f"{table.caption}" == "The wording is your own."


def test_diversity_stands_beside_the_papers_own_measure(tmp_path: Path) -> None:
    folder = tmp_path / "dia"
    keys = {"n": 4, "models": "scripted", "max_failures": 9}
    run(Experiment.load("diasynth-samsum", keys), folder)
    found = measure_source(str(folder))
    tables = diasynth_tables({"dia": found}, {"dia": {}})
    console = Console(width=160, record=True, file=StringIO())
    console.print(*tables)
    out = console.export_text()
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line[:1] == "│"}
    nearest, pairs = f"{found.text.rouge_l_nearest:.4g}", f"{found.text.rouge_l:.4g}"
    assert nearest != pairs
    beside = rows["diversity, ROUGE-L between dialogues"]
    assert nearest in beside
    assert "0.27 to 0.3" in beside
    alone = rows["mean ROUGE-L over a sample of all pairs"]
    assert pairs in alone
    assert "0.27" not in alone
    fewer = f"Fewer dialogues give lower values: dia has {found.text.nearest_of}."
    assert fewer in " ".join(out.split())
    assert "group chat" not in out
    (table,) = diasynth_tables({"dia": found}, {"dia": {}}, ["dia"])
    assert "The dialogues of dia are group chats with one model call per turn" in f"{table.caption}"


def test_a_judge_with_questions_of_ones_own_is_not_said_to_have_ours(folder: Path) -> None:
    own = {name: f"{text} Really?" for name, text in QUESTIONS.items()}
    judging = ("--judge", "gptscore", "--model", "scripted", "--n", "1", "--fresh")
    ended = convogen("evaluate", folder, *judging, "--set", f"questions={json.dumps(own)}")
    assert "The wording is your own." in " ".join(ended.out.split())


def test_tables_of_groundedness_say_who_judged_ours(folder: Path) -> None:
    judging = ("--judge", "geval", "--model", "scripted", "--n", "1", "--fresh")
    said = " ".join(convogen("evaluate", folder, *judging).out.split())
    assert "scored by GPT-4o mini with the authors' prompts. The scores by scripted" in said
    assert "MTLD: mean and standard deviation over conversations" in said


def test_all_judges_of_a_run_stand_together_each_with_its_own_calls(folder: Path) -> None:
    for judge, keys in {"geval3": (), "gptscore": (), "fed": ("--set", "over=dialogue")}.items():
        judging = ("--judge", judge, "--model", "scripted", "--n", "1", *keys)
        assert convogen("evaluate", folder, *judging).status == 0
    ended = convogen("evaluate", folder)
    for table in ("3: FED scores", "4: GPTScore", "5: G-Eval, 1 to 3"):
        assert f"DiaSynth, table {table}" in ended.out
    (report,) = json.loads(convogen("evaluate", folder, "--json").out)["runs"]
    calls = {judge: found["cost"]["calls"] for judge, found in report["judged"].items()}
    assert calls == {"fed": 10, "geval3": 4, "gptscore": 10}
    assert convogen("report", folder, "--out", folder / "page").status == 0
    page = (folder / "page" / "report.md").read_text("utf-8")
    assert all(f"{judge}" in page for judge in calls)
    assert "Other judges" in page


def test_a_judges_keys_are_checked(folder: Path) -> None:
    judging = ("evaluate", folder, "--judge", "fed", "--model", "scripted", "--n", "1")
    ended = convogen(*judging, "--set", "over=follow_up", "--fresh")
    assert ended.status == 0
    assert "table 3" not in ended.out
    wrong = convogen(*judging, "--set", "over=turn")
    assert (wrong.status, "judge fed: over: " in wrong.complaint) == (2, True)
    assert "keys: own_prompts, follow_ups, over, separator, speakers" in wrong.complaint


def test_another_model_is_refused_until_fresh(folder: Path) -> None:
    arguments = ("evaluate", folder, "--judge", "geval", "--n", "1", "--model")
    assert convogen(*arguments, "scripted").status == 0
    ended = convogen(*arguments, "other", "--base-url", "http://127.0.0.1:9/v1")
    assert ended.status == 2
    assert "contains scores from another judge" in ended.complaint
    assert "model: 'scripted' there, 'other' here" in ended.complaint
    assert "--fresh" in ended.complaint
    assert convogen(*arguments, "scripted", "--fresh").status == 0


def test_a_foreign_corpus_is_refused(corpus: Path) -> None:
    ended = convogen("evaluate", corpus, "--judge", "geval", "--model", "scripted")
    assert ended.status == 2
    assert "not a run folder" in ended.complaint
    assert "convogen stats" in ended.complaint


def test_conversations_without_an_experience_are_refused(folder: Path) -> None:
    path = folder / "conversations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    del rows[1]["experience"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = convogen("evaluate", folder, "--judge", "geval", "--model", "scripted")
    assert ended.status == 2
    assert f"conversation {rows[1]['id']} has no experience" in ended.complaint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--judge", "oracle"), "'oracle' is not known; allowed: geval"),
        (("--n", "2"), "require --judge, such as --judge geval"),
        (("--against", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("--judge", "geval", "--base-url", "http://"), "base_url"),
    ],
)
def test_mistakes(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = convogen("evaluate", folder, *arguments)
    assert ended.status == 2
    assert said in ended.err


def test_an_empty_run_is_refused(folder: Path) -> None:
    first_tasks(folder, 0)
    ended = convogen("evaluate", folder)
    assert ended.status == 2
    assert "this run has no committed conversations" in ended.complaint
