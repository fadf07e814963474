"""The study of role plays: rates over outputs and seeds, diversity, published arithmetic."""

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
from convogen.papers.roleplay.published_checks import checks
from convogen.papers.roleplay.study import conditions
from convogen.published import published

SMALL = {"personas": 3, "goals": 2, "n": 6, "max_turns": 2, "models": "scripted"}


def play(folder: Path, script: Callable[[Request], str] | None = None, **keys: object) -> Path:
    experiment = Experiment({"name": "t", "method": "roleplay", **SMALL, **keys})
    run(experiment, folder, open_model=lambda _: ScriptedModel(script))
    return folder


def every(nth: int) -> Callable[[Request], str]:
    """The inquirer forgets the quotes in every nth output, and asks at once after another one."""
    outputs: list[str] = []

    def script(request: Request) -> str:
        if request.role == "responder":
            return "one two three"
        outputs.append(request.hash)
        return "none" if len(outputs) % nth == 0 else f'"Is it {len(outputs)} or more?" "Or?"'

    return script


def test_rates_are_over_outputs_and_deviations_over_seeds(tmp_path: Path) -> None:
    """18 prompts are wanted of each seed's 6 dialogues of 3 turns; what is missing is made anew."""
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
    """tea and, and tea, and rum are three of four pairs; that of two prompts, tea tea, is none."""
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
    with pytest.raises(SourceError, match=r"are of one seed \(1\)"):
        conditions([*runs, runs[0]])


def test_the_command_prints_the_four_tables_and_what_does_not_agree(tmp_path: Path) -> None:
    folders = [play(tmp_path / f"{seed}", every(4), seed=seed) for seed in (1, 2)]
    ended = convogen("study", *folders)
    assert ended.status == 0, ended.err
    for words in ("Table 1", "Table 2", "Table 4", "Table 7", "5.48 (0.09)", "WildChat"):
        assert words in ended.out
    assert "dialogues by seed: 1: 6, 2: 6" in " ".join(ended.out.split())
    told = json.loads(convogen("study", *folders, "--json").out)
    (condition,) = told["conditions"]
    (same,) = conditions(map(load_run, folders))
    assert condition["rates"]["no_prompt"]["mean"] == same.rate("no_prompt").mean
    assert (condition["seeds"], condition["dialogues"]) == ([1, 2], [6, 6])
    assert condition["complete"] == [True, True]
    assert len(told["published"]) == len(checks())


def test_a_run_that_did_not_end_is_told_of(tmp_path: Path) -> None:
    experiment = Experiment({"name": "t", "method": "roleplay", **SMALL})
    run(experiment, tmp_path / "run", pilot=2, open_model=lambda _: ScriptedModel(every(99)))
    ended = convogen("study", tmp_path / "run")
    assert "dialogues by seed: 0: 2 (incomplete)" in " ".join(ended.out.split())
    (condition,) = json.loads(convogen("study", tmp_path / "run", "--json").out)["conditions"]
    assert condition["complete"] == [False]


def test_a_run_of_another_method_is_refused_in_one_line(tmp_path: Path) -> None:
    run(Experiment.load("demo", {"n": 1, "models": "scripted"}), tmp_path / "demo")
    ended = convogen("study", tmp_path / "demo")
    assert ended.status == 2
    assert "is a run of the method convogen, not of roleplay" in ended.complaint


def test_table_7_gives_table_1_within_the_spread_of_the_seeds() -> None:
    """All 20 percentages and their 20 deviations; 16 of the 40 are cut, not rounded."""
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
