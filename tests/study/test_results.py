"""`convogen study results`: what is printed, written and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

from benchmarks.simulated_study import answered, answers_of, pool, simulated
from convogen import Experiment, load_run, run
from convogen.errors import SourceError
from convogen.study.answers import PairAnswer
from convogen.study.candidates import StudyDialogue, candidate_pairs
from convogen.study.pairing import draw_pairs
from convogen.study.reading import read_answers
from convogen.study.results import study_results


def written(path: Path, answers: list[PairAnswer]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(one.model_dump_json() + "\n" for one in answers), "utf-8")
    return path


@pytest.fixture(scope="module")
def answers() -> list[PairAnswer]:
    return answers_of(simulated(3, participants=8, persons=8, each=24))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_everything_is_printed_beside_the_papers_numbers(
    tmp_path: Path, answers: list[PairAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    ended = convogen("study", "results", written(tmp_path / "answers.jsonl", answers))
    assert ended.status == 0, ended.err
    said = flat(ended.out)
    for words in (
        "192 answers by 8 participants about 8 source persons",
        "conditions: GPT4, Llama-2, Mixtral, Vicuna",
        "Table 3",
        "19/51/42 │ 99.45 (98.81) │ 2.38 (1.35)",
        "Undetected pairs, %",
        "Table 10",
        "Wald χ²(3) = ",
        "Published: 21.49; GPT4 AB, Llama-2 B, Mixtral A, Vicuna C",
        "Contrasts of the mixed models",
        "49 consistent, 3 inconsistent",
        "Llama-2, total_somewhat_percent: published 42.5, recomputed 29.5",
        "detection: Wald χ²(3) = 20.34, p < 0.001 (published 21.49); letters as published",
        "utterance: F(3, 526) = 31.54, p < 0.001 (published 31.73); letters as published",
    ):
        assert words in said
    assert "with judge" not in said
    assert "Pairs judged by both" not in said


def test_a_folder_is_read_and_json_has_all_of_it(tmp_path: Path, answers: list[PairAnswer]) -> None:
    written(tmp_path / "study" / "answers.jsonl", answers)
    ended = convogen("study", "results", tmp_path / "study", "--json")
    found: dict[str, Any] = json.loads(ended.out)
    assert (found["answers"], found["evenly"], found["judge"]) == (192, True, None)
    assert [one["condition"] for one in found["rates"]] == found["conditions"]
    (vicuna,) = (one for one in found["table_3"] if one["name"] == "Vicuna")
    of = [one for one in answers if one.condition == "Vicuna"]
    missed = sum(not one.detected for one in of)
    assert vicuna["undetected_percent"] == pytest.approx(100 * missed / len(of))
    assert vicuna["subsets"]["undetected"]["n"] == missed
    models = {one["outcome"]: one for one in found["models"]}
    assert list(models) == ["detection", "utterance", "seconds", "log seconds"]
    assert models["utterance"]["n"] == sum(one.detected for one in answers)
    assert len(models["detection"]["contrasts"]) == 6
    for one in models["detection"]["contrasts"]:
        assert one["p"] <= one["p_holm"]
    assert [one["outcome"] for one in found["published"]["recomputed"]] == list(models)[:3]


def test_the_order_of_the_answers_changes_nothing(
    tmp_path: Path, answers: list[PairAnswer]
) -> None:
    there = written(tmp_path / "there.jsonl", answers)
    back = written(tmp_path / "back.jsonl", answers[::-1])
    one, other = (convogen("study", "results", file, "--json").out for file in (there, back))
    assert one == other


def test_a_judge_shortens_the_intervals_and_is_compared_with_people(tmp_path: Path) -> None:
    of = pool(3)
    file = written(tmp_path / "answers.jsonl", answered(of, 3, "adaptive"))
    rows = [
        {"pair": one.pair, "condition": one.condition, "undetected": one.undetected}
        for one in of.verdicts
    ]
    judged = tmp_path / "judge.jsonl"
    judged.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    ended = convogen("study", "results", file, "--judge", judged)
    said = flat(ended.out)
    assert "drawn with different probabilities" in said
    assert "Pairs judged by both the judge and participants: 400" in said
    assert "utterance number: no model: all values are the same" in said
    found = json.loads(convogen("study", "results", file, "--judge", judged, "--json").out)
    widths = [
        [one[how]["high"] - one[how]["low"] for one in found["rates"]]
        for how in ("alone", "powered")
    ]
    assert sum(widths[1]) < 0.9 * sum(widths[0])
    assert {one["pairs"] for one in found["rates"]} == {300}
    assert 0.2 < found["judge"]["cohen_kappa"]["value"] < 0.9
    assert found["judge"]["n"] == 400


def test_figures_2_and_13_are_drawn_again_but_over_nothing_else(
    tmp_path: Path, answers: list[PairAnswer]
) -> None:
    file, chart = written(tmp_path / "answers.jsonl", answers), tmp_path / "figure.svg"
    for _ in range(2):
        ended = convogen("study", "results", file, "--chart", chart)
        assert ended.status == 0, ended.err
    chart.write_text("mine", "utf-8")
    assert convogen("study", "results", file, "--chart", chart).status == 2
    wrong = convogen("study", "results", "nothing", "--chart", tmp_path / "figure.gif")
    assert "allowed: .png, .svg, .pdf" in wrong.complaint


def test_attention_checks_are_told_of_and_not_counted(answers: list[PairAnswer]) -> None:
    wrong = answers[0].model_copy(
        update={"pair": "check", "attention_check": True, "choice": "unsure"}
    )
    right = wrong.model_copy(
        update={"pair": "check 2", "choice": wrong.artificial_side, "participant": "p03"}
    )
    found = study_results([*answers, wrong, right])
    assert (found.answers, found.attention_checks) == (192, 2)
    ((failed),) = found.inattentive
    assert (failed.participant, failed.checks, failed.failed) == ("p00", 1, 1)
    with pytest.raises(SourceError, match="only attention checks were answered"):
        study_results([wrong])


def test_one_person_or_condition_has_shares_and_a_reason_for_no_model(tmp_path: Path) -> None:
    alone = answers_of(simulated(1, participants=1, persons=24, each=24))
    ended = convogen("study", "results", written(tmp_path / "one.jsonl", alone))
    assert ended.status == 0, ended.err
    assert "detection, log odds: no model: there is only 1 participant" in flat(ended.out)
    same = answers_of(simulated(1, participants=6, each=12, log_odds={"M": 0.0}))
    ended = convogen("study", "results", written(tmp_path / "same.jsonl", same))
    assert "no model: a comparison needs 2 to 26 conditions (found 1)" in flat(ended.out)
    assert "Contrasts" not in ended.out
    never = [one.model_copy(update={"choice": "unsure"}) for one in alone]
    ended = convogen("study", "results", written(tmp_path / "never.jsonl", never))
    assert ended.status == 0, ended.err
    assert "utterance number: no model: a comparison needs 2 to 26 conditions (found 0)" in flat(
        ended.out
    )


def test_faulty_answers_are_refused_in_one_line(tmp_path: Path, answers: list[PairAnswer]) -> None:
    row = answers[0].model_dump()
    file = tmp_path / "answers.jsonl"
    for lines, said in (
        ([], "no answers in "),
        (["[1]"], "line 1: is not a JSON object"),
        ([json.dumps({**row, "choice": "both"})], "line 1: choice: "),
        ([json.dumps({**row, "seconds": -1})], "line 1: seconds: "),
        ([json.dumps({**row, "seconds": 1e300})], "line 1: seconds: must be at most"),
        ([json.dumps({**row, "utterance": 10**30})], "line 1: utterance: must be at most"),
        (
            [json.dumps({**row, "goals": 1})],
            "unknown key 'goals'; did you mean goal? allowed: pair, participant",
        ),
        ([json.dumps(row)] * 2, "line 2: participant 'p00' answered pair 'pair-0' twice"),
    ):
        file.write_text("\n".join(lines), "utf-8")
        ended = convogen("study", "results", file)
        assert ended.status == 2
        assert said in ended.complaint
    assert "cannot be read" in convogen("study", "results", tmp_path / "nothing").complaint
    (tmp_path / "study").mkdir()
    ended = convogen("study", "results", tmp_path / "study")
    assert "has no answers.jsonl; export the study" in ended.complaint
    many = [one.model_copy(update={"condition": f"c{at}"}) for at, one in enumerate(answers)]
    refused = convogen("study", "results", written(file, many))
    assert "192 conditions are too many; at most 26" in refused.complaint


def test_hostile_names_are_shown_as_text(tmp_path: Path, answers: list[PairAnswer]) -> None:
    named = [
        one.model_copy(update={"condition": f"[red]{one.condition}\x1b[31m"}) for one in answers
    ]
    file = written(tmp_path / "answers.jsonl", named)
    ended = convogen("study", "results", file, "--chart", tmp_path / "chart.png")
    assert ended.status == 0, ended.err
    assert "\x1b" not in ended.out
    assert "[red]GPT4" in flat(ended.out)
    assert read_answers([file])[0].condition.startswith("[red]")


def test_the_old_form_of_the_command_says_what_it_is_now(tmp_path: Path) -> None:
    ended = convogen("study", tmp_path)
    assert ended.status == 2
    assert "use `convogen study tables RUN...` to print tables for runs" in ended.complaint
    assert "did you mean results?" in convogen("study", "result").complaint
    help_text = convogen("study", "--help").out
    assert "results" in help_text
    assert "tables" in help_text


def test_runs_that_gteval_judged_are_a_judges_verdicts(tmp_path: Path) -> None:
    """From role plays to results: natural dialogues and two conditions, with verdicts for both."""

    def play(name: str, seed: int) -> Path:
        setting = {"name": "t", "method": "roleplay", "personas": 3, "goals": 2, "n": 6}
        experiment = Experiment({**setting, "max_turns": 2, "models": "scripted", "seed": seed})
        run(experiment, tmp_path / name)
        return tmp_path / name

    natural = play("natural", 1)
    models = {"M": play("M", 2), "V": play("V", 3)}
    for folder in models.values():
        ended = convogen(
            "evaluate", folder, "--judge", "gteval", "--real", natural, "--model", "scripted"
        )
        assert ended.status == 0, ended.err

    def dialogues(folder: Path, condition: str = "") -> list[StudyDialogue]:
        of = ((one.id, one.context) for one in load_run(folder).conversations())
        return [
            StudyDialogue(name, f"{has['persona_id']}", f"{has['situation']}", "bot", condition)
            for name, has in of
        ]

    simulated_ones = [one for name, folder in models.items() for one in dialogues(folder, name)]
    candidates = candidate_pairs(dialogues(natural), simulated_ones, seed=0)
    answers = [
        PairAnswer(
            **pair.model_dump(),
            choice="unsure" if at % 3 else pair.artificial_side,
            confidence="confident",
            utterance=1,
            seconds=10 + at,
        )
        for at, pair in enumerate(draw_pairs(candidates, ["a", "b"], 4, seed=0))
    ]
    file = written(tmp_path / "answers.jsonl", answers)
    options = [word for folder in models.values() for word in ("--judge", folder)]
    ended = convogen("study", "results", file, *options, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert [(one["answers"], one["pairs"]) for one in found["rates"]] == [(4, 6), (4, 6)]
    assert found["judge"]["n"] == 8
