"""`convogen ablate`: a grid of runs that is resumed and compared with its first cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from scipy import stats

from convogen import load_run
from convogen.costs.ledger_costs import spending
from convogen.reports.ablation import holm

SCRIPTED = ("demo", "--model", "scripted", "--set", "max_turns=4")


def ablated(out: Path, *args: object) -> dict[str, Any]:
    ended = convogen("ablate", *SCRIPTED, "--out", out, "--json", *args)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_every_combination_is_a_run_of_its_own(tmp_path: Path) -> None:
    vary = ("--vary", "iterative=false,rotate,true", "--vary", "shots=1,2", "--n", 3, "--seed", 5)
    found = ablated(tmp_path, *vary)
    assert list(found["cells"]) == [
        "iterative=false,shots=1",
        "iterative=false,shots=2",
        "iterative=rotate,shots=1",
        "iterative=rotate,shots=2",
        "iterative=true,shots=1",
        "iterative=true,shots=2",
    ]
    for cell in found["cells"].values():
        manifest = load_run(cell["run"]).manifest
        assert (manifest["complete"], manifest["n"], manifest["experiment"]["seed"]) == (True, 3, 5)
        assert cell["conversations"] == 3
    assert json.loads((tmp_path / "ablation.json").read_text("utf-8")) == found
    assert {one["cell"] for one in found["differences"]} == set(list(found["cells"])[1:])


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    vary = ("--vary", "style=short,chatty")
    first = ablated(tmp_path, *vary, "--n", 2)
    calls = [path.read_bytes() for path in sorted(tmp_path.glob("*/calls.jsonl"))]
    assert ablated(tmp_path, *vary, "--n", 2) == first
    longer = ablated(tmp_path, *vary, "--n", 3)
    for before, path in zip(calls, sorted(tmp_path.glob("*/calls.jsonl")), strict=True):
        assert path.read_bytes().startswith(before)
    assert {cell["conversations"] for cell in longer["cells"].values()} == {3}
    assert ablated(tmp_path, *vary, "--n", 2) == first


def test_the_numbers_are_scipys(tmp_path: Path) -> None:
    found = ablated(tmp_path, "--vary", "max_words=5,6", "--vary", "participants=2,[2,4]", "--n", 5)
    runs = {name: load_run(cell["run"]) for name, cell in found["cells"].items()}
    words = {
        name: [sum(len(turn.text.split()) for turn in one.turns) for one in run.conversations()]
        for name, run in runs.items()
    }
    base = words[found["baseline"]]
    assert list(runs)[1] == "max_words=5,participants=[2,4]"
    for one in found["differences"]:
        if one["metric"] != "words":
            continue
        ours = words[one["cell"]]
        assert one["difference"] == pytest.approx(sum(ours) / 5 - sum(base) / 5)
        assert one["low"] <= one["difference"] <= one["high"]
        pairs = [(a > b) - (a < b) for a in ours for b in base]
        assert one["cliffs_delta"] == pytest.approx(sum(pairs) / len(pairs))
        assert one["p"] == pytest.approx(stats.mannwhitneyu(ours, base).pvalue)
        assert one["p_holm"] >= one["p"]


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_judges_scores_are_compared_once_they_are_there(tmp_path: Path) -> None:
    vary = ("--vary", "style=short,chatty", "--n", 2)
    cells = ablated(tmp_path, *vary)["cells"]
    for cell in cells.values():
        ended = convogen("evaluate", cell["run"], "--judge", "geval", "--model", "scripted")
        assert ended.status == 0, ended.err
    found = ablated(tmp_path, *vary)
    judged = {score.conversation for score in load_run(tmp_path / "style-short").scores("geval")}
    assert len(judged) == 2
    assert "judge.geval" in found["cells"]["style=short"]["means"]


def test_keys_that_vary_together_and_the_table(tmp_path: Path) -> None:
    pairs = "personas,persona_source=[generated,null],[sampled,everyday]"
    ended = convogen("ablate", *SCRIPTED, "--n", 2, "--out", tmp_path, "--vary", pairs)
    assert ended.status == 0, ended.err
    assert "cell 2: personas=sampled,persona_source=everyday" in ended.out
    assert "MTLD" in ended.out
    assert "Holm, over" in " ".join(ended.out.split())


def test_a_single_cell_is_said_to_be_compared_with_nothing(tmp_path: Path) -> None:
    ended = convogen("ablate", *SCRIPTED, "--n", 1, "--out", tmp_path, "--vary", "style=short")
    assert ended.status == 0, ended.err
    assert "nothing is compared" in ended.out
    assert "Differences" not in ended.out


def test_a_budget_is_that_of_all_cells(tmp_path: Path) -> None:
    vary = ("--vary", "style=short,chatty", "--n", 4, "--set", "sampling.generator.max_tokens=300")
    cells = ablated(tmp_path / "whole", *vary)["cells"].values()

    def tokens(run: Path) -> int:
        rows = spending(load_run(run))
        return sum(row.prompt_tokens + row.completion_tokens for row in rows)

    first, second = (tokens(cell["run"]) for cell in cells)
    limit = first + second // 2
    args = ("ablate", *SCRIPTED, *vary, "--out", tmp_path / "run")
    for _ in range(2):
        ended = convogen(*args, "--budget-tokens", limit)
        assert ended.status == 1
        assert "with a larger --budget-tokens" in ended.err
        played = [path.parent for path in (tmp_path / "run").glob("*/manifest.json")]
        assert len(played) == 2
        assert first <= sum(map(tokens, played)) <= limit
    assert convogen(*args, "--budget-tokens", 10 * limit).status == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--vary", "style"], "must be KEY=VALUE,VALUE"),
        (["--vary", "style="], "must be KEY=VALUE,VALUE"),
        (["--vary", "style=[short"], "must be KEY=VALUE,VALUE"),
        (["--vary", "style,shots=[short,1],[chatty]"], "one value per key in each list"),
        (["--vary", "style=short", "--vary", "style=chatty"], "style is given more than once"),
        (["--vary", "stile=short,chatty"], "unknown key 'stile'"),
        (["--vary", "shots=1,0"], "must be at least 1"),
        (["--vary", "max_words=7,7"], "are given twice"),
        (["--vary", "max_failures=7,8"], "give the same experiment"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_runs(
    args: list[str], said: str, tmp_path: Path
) -> None:
    ended = convogen("ablate", *SCRIPTED, "--out", tmp_path / "out", *args)
    assert ended.status == 2
    assert said in ended.complaint
    assert not (tmp_path / "out").exists()
