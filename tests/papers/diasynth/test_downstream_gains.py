"""Percentage improvement and coverage, compared with the paper's printed tables."""

from __future__ import annotations

import json

import pytest
from command_line import convogen

from convogen.papers.diasynth.downstream_gains import (
    coverage,
    mean_coverage,
    mean_improvement,
    percentage_improvement,
    published_cells,
)
from convogen.published import published


def test_the_two_equations() -> None:
    assert percentage_improvement(0.6, 0.5) == pytest.approx(20)
    assert percentage_improvement(0.4, 0.5) == pytest.approx(-20)
    assert coverage(0.45, 0.5) == pytest.approx(90)


def test_the_printed_tables_give_the_papers_coverage() -> None:
    cells = published_cells("LLaMA-3")
    assert len(cells) == 24
    assert round(mean_coverage(cells), 2) == 90.48
    assert round(mean_coverage([cell for cell in cells if cell.measure != "qags"]), 2) == 77.07


def test_the_printed_tables_do_not_give_the_papers_improvement_of_16_47() -> None:
    cells = published_cells("LLaMA-3")
    by_measure = {
        measure: round(mean_improvement([c for c in cells if c.measure == measure]), 2)
        for measure in ("qags", "bertscore", "rouge_l")
    }
    assert round(mean_improvement(cells), 2) == 12.15
    assert by_measure == {"qags": -7.40, "bertscore": 20.23, "rouge_l": 23.61}
    before, after = sum(c.before for c in cells), sum(c.synthetic for c in cells)
    assert round(percentage_improvement(after, before), 2) == 5.14
    data_sets = {c.data: mean_improvement([d for d in cells if d.data == c.data]) for c in cells}
    assert {name: round(value, 2) for name, value in data_sets.items()} == {
        "DialogSum": 7.49,
        "SAMSum": 16.8,
    }


def test_the_command_prints_both_beside_what_the_paper_says() -> None:
    ended = convogen("downstream", "published")
    assert ended.status == 0, ended.err
    rows = {line.split()[1]: line.split() for line in ended.out.splitlines() if line[:1] == "│"}
    assert [part for part in rows["LLaMA-3"] if part != "│"][1:] == [
        "24",
        "12.15",
        "90.48",
        "77.07",
    ]
    assert [part for part in rows["published"] if "." in part] == ["16.47", "90.48", "77.07"]
    found = json.loads(convogen("downstream", "published", "--json").out)
    assert round(found["generators"]["LLaMA-3"]["improvement"], 2) == 12.15
    assert found["paper"]["improvement"] == 16.47


def test_other_generators_have_cells_too() -> None:
    coverages = [mean_coverage(published_cells(name)) for name in ("Phi-3", "InternLM-2.5")]
    assert [round(value, 2) for value in coverages] == [88.43, 85.83]


def test_the_tables_are_complete() -> None:
    tables = published("diasynth")
    rows = {name: len(table.rows) for name, table in tables.items()}
    assert rows == {**dict.fromkeys("234567", 8), "text": 1}
    assert sum(int(row["n_conversations"] or 0) for row in tables["2"].rows.values()) == 9899
    assert tables["3"].rows["Phi-3/DialogSum"]["flexible"] == -3.96e-05
    assert tables["5"].rows["GPT-4o/DialogSum"]["coherence"] == 3
