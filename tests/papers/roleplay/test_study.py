"""The study of role plays: rates over outputs and seeds, diversity, and the published
arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
from command_line import convogen

from convogen import Experiment, load_run, run
from convogen.errors import SourceError
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request
from convogen.papers.roleplay.chart import MEASURES, normalized, theirs
from convogen.papers.roleplay.diversity import told_apart
from convogen.papers.roleplay.published_checks import checks
from convogen.papers.roleplay.study import conditions, over_inquirers
from convogen.published import published

SMALL = {"personas": 3, "goals": 2, "n": 6, "max_turns": 2, "models": "scripted"}


def play(folder: Path, script: Callable[[Request], str] | None = None, **keys: object) -> Path:
    experiment = Experiment({"name": "t", "method": "roleplay", **SMALL, **keys})
    run(experiment, folder, open_model=lambda _: ScriptedModel(script))
    return folder


def every(nth: int) -> Callable[[Request], str]:
    """Return a script whose inquirer omits the quotes in every nth output, and writes two
    prompts in others."""
    outputs: list[str] = []

    def script(request: Request) -> str:
        if request.role == "responder":
            return "one two three"
        outputs.append(request.hash)
        return "none" if len(outputs) % nth == 0 else f'"Is it {len(outputs)} or more?" "Or?"'

    return script


def test_rates_are_over_outputs_and_deviations_over_seeds(tmp_path: Path) -> None:
    """For each seed, 6 dialogues of 3 turns require 18 prompts; missing prompts are generated
    again."""
    nths = {1: 3, 2: 5, 3: 10}
    folders = [
        play(tmp_path / f"{seed}", every(nth), seed=seed, concurrency=1, max_turns=3)
        for seed, nth in nths.items()
    ]
    (condition,) = conditions(map(load_run, folders))
    outputs = [26, 22, 19]
    missing = [8, 4, 1]
    rates = [part / whole for part, whole in zip(missing, outputs, strict=True)]
    assert condition.rate("no_prompt")[:2] == pytest.approx((fmean(rates), pstdev(rates)))
    assert condition.count("inquirer_outputs")[:2] == pytest.approx(
        (fmean(outputs), pstdev(outputs))
    )
    assert condition.count("several_prompts").mean == 18
    assert condition.rate("incoherent_responder")[:2] == (0, 0)
    assert condition.length("turns") == (3, 0, 0)
    assert condition.length("response_tokens") == (3, 0, 0)
    assert [one.seed for one in condition.runs] == [1, 2, 3]


def test_what_failed_or_was_rejected_counts_among_the_outputs(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        if request.role == "responder":
            return "so it goes " * 9 if "poem" in request.messages[-1].content else "Oh shit."
        poem = any("unicorn" not in m.content for m in request.messages if m.role == "user")
        return '"A poem?"' if poem else '"A unicorn?"'

    keys = {"goals": ["unicorn", "cat-poem"], "gates": ["safety"], "max_turns": 1}
    (condition,) = conditions([load_run(play(tmp_path / "run", script, **keys))])
    (one,) = condition.runs
    assert one.failures == {"incoherent_responder": 3}
    assert one.lengths["turns"] == []
    assert (one.counts["dialogues"], one.counts["inquirer_outputs"]) == (6, 6)
    assert one.counts["responder_outputs"] == 3 + 3 * 3
    assert condition.rate("incoherent_responder").mean == 9 / 12
    assert condition.rate("unsaved").mean == 0.5
    assert condition.length("turns").mean is None
    assert condition.diversity("ttr").mean is None


def test_diversity_is_of_a_dialogues_prompts(tmp_path: Path) -> None:
    """Three of four pairs are distinct (tea and, and tea, and rum); tea tea spans two prompts."""
    said = iter(['"tea and tea"', '"tea and rum"'])

    def script(request: Request) -> str:
        return next(said) if request.role == "inquirer" else "water water water"

    folder = play(tmp_path / "run", script, personas=1, goals=1)
    (condition,) = conditions([load_run(folder)])
    assert condition.diversity("ttr").mean == pytest.approx(3 / 6)
    assert condition.diversity("distinct_1").mean == pytest.approx(3 / 6)
    assert condition.diversity("distinct_2").mean == pytest.approx(3 / 4)
    assert condition.length("prompt_tokens").mean == 3


def test_runs_are_together_that_differ_in_the_seed_alone(tmp_path: Path) -> None:
    keys: dict[str, dict[str, Any]] = {
        "a": {"seed": 1, "features": []},
        "b": {"seed": 2, "features": []},
        "c": {"seed": 1, "features": ["age", "race"]},
        "d": {"seed": 1, "max_turns": 1},
    }
    runs = [load_run(play(tmp_path / name, **own)) for name, own in keys.items()]
    found = conditions(runs)
    assert [[one.run.folder.name for one in each.runs] for each in found] == [
        ["a", "b"],
        ["c"],
        ["d"],
    ]
    assert [each.told for each in found] == ["none", "age+race", "all"]
    assert found[2].name == "scripted → scripted, all, max_turns=1"
    whole = ["native_english", "age", "education", "gender", "race", "age"]
    (shuffled,) = conditions([load_run(play(tmp_path / "e", features=whole))])
    assert shuffled.told == "all"
    with pytest.raises(SourceError, match=r"the same seed \(1\)"):
        conditions([*runs, runs[0]])


def test_failures_are_of_outputs_of_turns_and_of_dialogues(tmp_path: Path) -> None:
    """Two dialogues have two turns each: both first turns have several prompts, and one second
    turn has none."""

    def script(request: Request) -> str:
        if request.role == "responder":
            return "Well."
        first = not any(one.role == "assistant" for one in request.messages)
        unicorn = any("unicorn" in one.content for one in request.messages)
        return '"Is it?" or "Was it?"' if first else "none" if unicorn else '"Then?"'

    keys = {"goals": ["unicorn", "cat-poem"], "personas": 1, "regenerations": 0}
    folder = play(tmp_path / "run", script, **keys)
    (condition,) = conditions([load_run(folder)])
    assert condition.length("turns").mean == 1.5
    found = {
        name: (
            condition.rate(name)[0],
            condition.per_turn(name)[0],
            condition.per_dialogue(name)[0],
        )
        for name in ("several_prompts", "no_prompt", "self_reply")
    }
    assert found == {
        "several_prompts": (2 / 4, 2 / 4, 1),
        "no_prompt": (1 / 4, 1 / 4, 1 / 2),
        "self_reply": (0, 0, 0),
    }
    assert (condition.rate("broken").mean, condition.rate("unsaved").mean) == (1 / 2, 0)


def by_inquirer(request: Request) -> str:
    """Reply as inquirer `a`, which asks once, or `b`, which asks as often as possible."""
    if request.role == "responder":
        return "one two three"
    asked = any(one.role == "assistant" for one in request.messages)
    return "FINISH" if asked and request.model == "a" else '"And then?"'


def test_inquirers_have_a_row_over_them_all(tmp_path: Path) -> None:
    folders = [
        play(tmp_path / name, by_inquirer, models={"inquirer": name, "responder": "scripted"})
        for name in ("a", "b")
    ]
    found = conditions(map(load_run, folders))
    (row,) = over_inquirers(found)
    assert (row.conditions, row.inquirers) == ((0, 1), 2)
    assert row.lengths["turns"][:2] == (1.5, 0.5)
    assert over_inquirers(found[:1]) == []
    assert "(1, 2) over 2" in convogen("study", "tables", *folders).out
    (told,) = json.loads(convogen("study", "tables", *folders, "--json").out)["over_inquirers"]
    assert told["conditions"] == [0, 1]
    assert told["lengths"]["turns"] == {"mean": 1.5, "std": 0.5, "spread": None}


def test_what_telling_changes_is_tested_on_the_users_text(tmp_path: Path) -> None:
    """The people and goals are the same; those who see their persona repeat no words."""

    def script(request: Request) -> str:
        if request.role == "responder":
            return "alpha alpha alpha"
        bare = any("this person: a person\n" in one.content for one in request.messages)
        return '"alpha beta alpha gamma"' if bare else '"alpha beta gamma delta"'

    keys = {"personas": 6, "goals": 2, "n": 12, "max_turns": 1}
    settings: dict[str, dict[str, object]] = {"none": {"features": []}, "all": {}}
    folders = [
        play(tmp_path / f"{told}{seed}", script, seed=seed, **keys, **own)
        for told, own in settings.items()
        for seed in (1, 2)
    ]
    found = {one.measure: one for one in told_apart(conditions(map(load_run, folders)))}
    assert set(found) == {"ttr", "distinct_1", "distinct_2", "mtld", "words"}
    ttr = found["ttr"]
    assert (ttr.told, ttr.condition, ttr.pairs, ttr.share) == ("all", 1, 12, 1)
    assert ttr.difference == pytest.approx(0.25)
    assert ttr.p < 0.05
    assert (found["words"].difference, found["words"].share, found["words"].p) == (0, None, 1)
    ended = convogen("study", "tables", *folders)
    assert "Table 2, tested" in ended.out
    assert "+0.250" in ended.out
    whole = json.loads(convogen("study", "tables", *folders, "--json").out)
    assert [whole["conditions"][one["condition"]]["told"] for one in whole["told"]] == ["all"] * 5
    alone = convogen("study", "tables", folders[0])
    assert "Table 2, tested" not in alone.out


def test_conditions_that_differ_in_more_are_not_compared(tmp_path: Path) -> None:
    folders = [play(tmp_path / "none", features=[]), play(tmp_path / "all", max_turns=1)]
    assert told_apart(conditions(map(load_run, folders))) == []


def test_figure_8_has_the_largest_of_each_measure_at_one(tmp_path: Path) -> None:
    found = normalized(theirs())
    assert set(found) == {"Llama-2", "Mixtral", "Vicuna", "GPT4"}
    for measure in MEASURES:
        assert max(row[measure] or 0 for row in found.values()) == 1
    assert found["Llama-2"]["turns"] == pytest.approx(2.62 / 7.60)
    assert found["Mixtral"]["self_reply"] == pytest.approx(5.99 / 69.39)
    nothing = {"a": dict.fromkeys(MEASURES, 0.0), "b": dict.fromkeys(MEASURES)}
    assert set(normalized(nothing)["a"].values()) == {0}
    assert set(normalized(nothing)["b"].values()) == {None}

    run_folder, chart = play(tmp_path / "run", every(4)), tmp_path / "figure.svg"
    for _ in range(2):  # the second replaces the first
        ended = convogen("study", "tables", run_folder, "--chart", chart)
        assert ended.status == 0, ended.err
    drawn = chart.read_text("utf-8")
    assert "Published (table 1)" in drawn
    assert "The paper does not say how it normalizes" in drawn
    chart.write_text("mine", "utf-8")
    assert convogen("study", "tables", run_folder, "--chart", chart).status == 2
    assert chart.read_text("utf-8") == "mine"
    wrong = convogen("study", "tables", tmp_path / "no run", "--chart", tmp_path / "figure.gif")
    assert "allowed: .png, .svg, .pdf" in wrong.complaint


def test_table_9_is_whole_and_table_7_begins_with_lengths() -> None:
    tables = published("roleplay")
    assert len(tables["9"].rows) == 18
    assert set(tables["4"].rows) <= set(tables["9"].rows)
    assert tables["9"].rows["Character-LLM"]["turns"] == 13.26
    types = {name: row["type"] for name, row in tables["9"].rows.items() if row["type"]}
    assert types == {
        **dict.fromkeys(("OpenAssistant", "LMSYS-Chat-1M", "WildChat"), "natural"),
        **dict.fromkeys(("UltraChat", "LLM Roleplay"), "synthetic"),
    }
    assert types.keys() == tables["4"].rows.keys()
    assert tables["9"].rows["LLM Roleplay"]["prompt_tokens_std"] == 10.51
    for name, row in tables["7"].rows.items():
        assert row["prompt_tokens"] == tables["1"].rows[name]["prompt_tokens"]


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its turns have no faults, its personas no features, and its context no persona id."""
    folder = play(tmp_path / "run", every(4))
    for name, drop in (
        ("conversations.jsonl", ("persona_id", "features", "faults", "capped_at", "left_out")),
        ("experiences.jsonl", ("features", "id")),
    ):
        lines = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
        for row in lines:
            for part in (row.get("context", {}), *row.get("turns", []), *row.get("personas", [])):
                for key in drop:
                    part.pop(key, None)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
        (folder / name).write_text(text, "utf-8")
    (condition,) = conditions([load_run(folder)])
    assert condition.rate("several_prompts").mean
    assert len(list(load_run(folder).experiences())) == 6


def test_the_command_prints_the_tables_and_what_does_not_agree(tmp_path: Path) -> None:
    folders = [play(tmp_path / f"{seed}", every(4), seed=seed) for seed in (1, 2)]
    ended = convogen("study", "tables", *folders)
    assert ended.status == 0, ended.err
    tables = ("Table 1", "Table 2", "Table 4", "Table 7", "Table 9", "Figure 8")
    for words in (*tables, "percent of turns", "5.48 (0.09)", "WildChat", "15.20", "Meena"):
        assert words in ended.out
    said = " ".join(ended.out.split())
    assert "dialogues by seed: 1: 6, 2: 6" in said
    for different, times in (
        ("the token count for a prompt includes the whole output that contains the prompt", 4),
        ("The paper does not name its tokenizer", 4),
        ("are counted by convogen's own rules", 1),
        ("uses Mixtral as the inquirer", 1),
        ("unclear which rows the three groups of table 9 span", 1),
        ("Dividing by the largest value is convogen's choice", 1),
    ):
        assert said.count(different) == times
    told = json.loads(convogen("study", "tables", *folders, "--json").out)
    (condition,) = told["conditions"]
    (same,) = conditions(map(load_run, folders))
    assert condition["rates"]["no_prompt"]["mean"] == same.rate("no_prompt").mean
    assert (condition["seeds"], condition["dialogues"]) == ([1, 2], [6, 6])
    assert condition["complete"] == [True, True]
    assert len(told["published"]) == len(checks())


def test_a_run_that_did_not_end_is_told_of(tmp_path: Path) -> None:
    experiment = Experiment({"name": "t", "method": "roleplay", **SMALL})
    run(experiment, tmp_path / "run", pilot=2, open_model=lambda _: ScriptedModel(every(99)))
    ended = convogen("study", "tables", tmp_path / "run")
    assert "dialogues by seed: 0: 2 (incomplete)" in " ".join(ended.out.split())
    (condition,) = json.loads(convogen("study", "tables", tmp_path / "run", "--json").out)[
        "conditions"
    ]
    assert condition["complete"] == [False]


def test_a_run_of_another_method_is_refused_in_one_line(tmp_path: Path) -> None:
    run(Experiment.load("demo", {"n": 1, "models": "scripted"}), tmp_path / "demo")
    ended = convogen("study", "tables", tmp_path / "demo")
    assert ended.status == 2
    assert "was generated with the convogen method" in ended.complaint


def test_table_7_gives_table_1_within_the_spread_of_the_seeds() -> None:
    """All 20 percentages and their 20 deviations agree; 16 of the 40 are truncated, not rounded."""
    found = [one for one in checks() if one.what == "table 1 from table 7"]
    assert len(found) == 40
    cut = {(one.row, one.cell) for one in found if one.verdict == "truncated"}
    assert {one.verdict for one in found} == {"rounded", "truncated"}
    assert len(cut) == 16
    assert {cell for cell in cut if not cell[1].endswith("_std")} == {
        ("Mixtral", "no_prompt"),
        ("Mixtral", "incoherent_responder"),
        ("Vicuna", "no_prompt"),
        ("Vicuna", "several_prompts"),
        ("Vicuna", "incoherent_inquirer"),
        ("Vicuna", "incoherent_responder"),
        ("GPT4", "several_prompts"),
        ("GPT4", "incoherent_responder"),
    }
    for one in found:
        assert one.printed == pytest.approx(one.computed, abs=0.0101)


def test_the_published_cells_that_do_not_agree_are_named() -> None:
    off = [(one.what, one.row, one.cell) for one in checks() if one.verdict == "off"]
    dialogues = "table 7 from 200 dialogues of table 1's turns"
    assert off == [
        *((dialogues, row, "responder_outputs") for row in published("roleplay")["7"].rows),
        ("table 4 from table 1's means", "LLM Roleplay", "response_tokens_std"),
        ("table 4 from table 9", "WildChat", "prompt_tokens"),
    ]
