"""The measures of a persona hub, compared with values calculated by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from convogen.metrics.diversity import lexical
from convogen.metrics.personas import measure_hub
from convogen.personas import open_hub


def test_a_hub_by_hand(tmp_path: Path) -> None:
    """The lengths are 3, 3, 3, 4 and 2. Eight of 15 words are distinct (a, baker, who, pilots,
    fly, red, kites, sings), and so are six of ten pairs."""
    texts = ["A baker who", "a BAKER who!", "A baker who", "Pilots fly red kites", "who sings"]
    path = tmp_path / "hub.jsonl"
    path.write_text("".join(json.dumps({"persona": text}) + "\n" for text in texts))
    found = measure_hub(open_hub(str(path)))
    assert (found.personas, found.named, found.exact_duplicates) == (5, 0, 1)
    assert (found.near_copies, found.near_copies_by) == (3, "all pairs")
    assert (found.words_mean, found.words_median) == (3, 3)
    assert (found.words_min, found.words_max) == (2, 4)
    assert found.words_std == pytest.approx(math.sqrt(2 / 5))
    assert found.distinct_1 == 8 / 15
    assert found.distinct_2 == 6 / 10
    assert found.mtld == lexical("\n".join(texts)).mtld


def test_cards_and_names_are_measured_as_well(tmp_path: Path) -> None:
    path = tmp_path / "hub.jsonl"
    rows = [{"name": "Ana", "persona": "bakes bread"}, {"persona": "flies far"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = measure_hub(open_hub(str(path)))
    assert (found.personas, found.named, found.near_copies) == (2, 1, 0)


def test_texts_without_a_word_have_no_copies(tmp_path: Path) -> None:
    path = tmp_path / "hub.jsonl"
    path.write_text('{"persona": "!!!"}\n{"persona": "!!!"}\n')
    found = measure_hub(open_hub(str(path)))
    assert (found.near_copies, found.near_copies_by, found.exact_duplicates) == (0, "all pairs", 1)
    assert (found.distinct_1, found.distinct_2) == (None, None)
