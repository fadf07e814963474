"""Pooled results of several runs: the paper's own cells give the paper's means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

from convogen.downstream.pooled import pool, read_results
from convogen.papers.diasynth.downstream_gains import published_cells

MEASURES = {"qags": "QAGS", "bertscore": "BERTScore", "rouge_l": "ROUGE-L"}


def write(path: Path, arms: dict[str, dict[str, float | None]], **more: Any) -> Path:
    """Write a result file in the format of `downstream summarization`."""
    cells = {
        arm: {
            m: None if v is None else {"value": v, "low": None, "high": None}
            for m, v in row.items()
        }
        for arm, row in arms.items()
    }
    data = {
        "task": "summarization",
        "run": "/somewhere/runs/made",
        "training": {"checkpoint": "bart"},
        "held_out": {"source": "test.jsonl", "dialogues": 5},
        "arms": cells,
        "questions": 3,
        "qags_by": "bertscore",
        "bertscore": "bert-base-uncased@9",
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), "utf-8")
    return path


@pytest.fixture
def published(tmp_path: Path) -> list[Path]:
    """Write the paper's cells for LLaMA-3, one file per checkpoint and data set."""
    rows: dict[tuple[str, str], dict[str, dict[str, float | None]]] = {}
    for cell in published_cells("LLaMA-3"):
        arms = rows.setdefault((cell.model, cell.data), {})
        scores = {"base": cell.before, "in_domain": cell.in_domain, "synthetic": cell.synthetic}
        for arm, score in scores.items():
            arms.setdefault(arm, {})[MEASURES[cell.measure]] = score
    return [
        write(
            tmp_path / f"{nth}.json",
            arms,
            training={"checkpoint": model},
            held_out={"source": data, "dialogues": 9},
        )
        for nth, ((model, data), arms) in enumerate(rows.items())
    ]


def test_the_papers_cells_give_the_papers_coverage(published: list[Path]) -> None:
    found = pool(read_results(published))
    assert (found.cells, found.covered) == (24, 24)
    assert found.coverage == pytest.approx(90.48, abs=0.005)
    assert found.coverage_without_qags == pytest.approx(77.07, abs=0.005)
    assert found.improvement == pytest.approx(12.15, abs=0.005)


def test_one_table_of_several_runs_beside_what_the_paper_says(published: list[Path]) -> None:
    ended = convogen("downstream", "pool", *published)
    assert ended.status == 0, ended.err
    said = " ".join(ended.out.split())
    assert "Coverage of in-domain data: 90.48%" in said
    assert (
        "The paper reports an improvement of 16.47% and a coverage of 90.48% (77.07% without QAGS)"
        in said
    )
    assert "measured differently from the paper" not in said
    assert ended.out.count("untuned") == 8
    found = json.loads(convogen("downstream", "pool", *published, "--json").out)
    assert len(found["results"]) == 8
    assert found["pooled"]["cells"] == 24


def test_a_run_folder_stands_for_its_results_and_what_is_missing_is_no_cell(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(
        folder / "downstream" / "summarization-bart.json",
        {"base": {"ROUGE-L": 0.2, "QAGS": None}, "synthetic": {"ROUGE-L": 0.3, "QAGS": 0.5}},
        questions=1,
        qags_by="f1",
    )
    found = pool(read_results([folder]))
    assert (found.cells, found.covered, found.coverage) == (1, 0, None)
    assert found.improvement == pytest.approx(50)
    said = " ".join(convogen("downstream", "pool", folder).out.split())
    assert "Coverage of in-domain data: –% (–% without QAGS); cells: 0" in said
    assert "QAGS is measured differently from the paper" in said


def test_a_cell_counts_once_however_often_its_file_is_named(tmp_path: Path) -> None:
    arms: dict[str, dict[str, float | None]] = {
        "base": {"ROUGE-L": 0.2},
        "synthetic": {"ROUGE-L": 0.3},
    }
    path = write(tmp_path / "run/downstream/summarization-bart.json", arms)
    found = pool(read_results([path, tmp_path / "run", path]))
    assert (found.cells, found.improvement) == (1, pytest.approx(50))
    copy = write(tmp_path / "copy.json", arms)
    ended = convogen("downstream", "pool", path, copy)
    assert (ended.status, "the same run, checkpoint and held-out set" in ended.complaint) == (
        2,
        True,
    )
    other = write(tmp_path / "other.json", arms, run="/elsewhere/runs/made")
    assert pool(read_results([path, other])).cells == 2


def test_a_bertscore_of_another_encoder_is_said_to_be_another(tmp_path: Path) -> None:
    arms: dict[str, dict[str, float | None]] = {
        "base": {"BERTScore": 0.2},
        "synthetic": {"BERTScore": 0.3},
    }
    same = write(tmp_path / "same.json", arms)
    other = write(tmp_path / "other.json", arms, bertscore="roberta-large@17")
    said = " ".join(convogen("downstream", "pool", same).out.split())
    assert "measured differently from the paper" not in said
    said = " ".join(convogen("downstream", "pool", other).out.split())
    assert "BERTScore is measured differently from the paper, which uses bert-base" in said


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"task": "classification"}', '{"task": 1}', "[" * 9999]
)
def test_what_is_no_result_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, "utf-8")
    ended = convogen("downstream", "pool", tmp_path / "x.json")
    assert (ended.status, "x.json: is not a result file" in ended.complaint) == (2, True)
    empty = convogen("downstream", "pool", tmp_path)
    assert (empty.status, "contains no results" in empty.complaint) == (2, True)
    missing = convogen("downstream", "pool", tmp_path / "none.json")
    assert (missing.status, "cannot be read" in missing.complaint) == (2, True)
