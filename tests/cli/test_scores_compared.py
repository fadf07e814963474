"""`agreement --protocol scores`: a comparison of judges and people on a scale."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

KRIPPENDORFF = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Ratings of twelve units by four observers (Krippendorff, 2011); alpha is 0.815 (ordinal) or 0.849
(interval)."""


def scores(path: Path, values: Sequence[float | None], aspect: str | None = "overall") -> Path:
    rows = [{"conversation": f"c{at}", "value": value} for at, value in enumerate(values)]
    more: dict[str, Any] = {} if aspect is None else {"aspect": aspect}
    path.write_text("".join(json.dumps(row | more) + "\n" for row in rows), "utf-8")
    return path


def published(folder: Path, unit: float = 1.0) -> list[str]:
    """Write one file per observer, all for the same data set."""
    rows = [[None if cell == "." else int(cell) for cell in row.split()] for row in KRIPPENDORFF]
    return [
        f"{name},set={scores(folder / name, [v if v is None else v * unit for v in row])}"
        for name, row in zip("abcd", rows, strict=True)
    ]


@pytest.mark.parametrize(
    ("unit", "level", "alpha"), [(1, "ordinal", 0.815), (0.3, "interval", 0.849)]
)
def test_the_scale_decides_the_level(tmp_path: Path, unit: float, level: str, alpha: float) -> None:
    files = published(tmp_path, unit)
    found = json.loads(convogen("agreement", *files, "--protocol", "scores", "--json").out)
    [group] = found["agreement"]
    assert (group["dialogues"], group["judges"]) == ("set", ["a", "b", "c", "d"])
    [row] = group["aspects"]
    assert (row["aspect"], row["level"], row["n"]) == ("overall", level, 11)
    interval = row["krippendorff_alpha"]
    assert interval["value"] == pytest.approx(alpha, abs=5e-4)
    assert interval["low"] < interval["value"] < interval["high"]
    ended = convogen("agreement", *files, "--protocol", "scores")
    for text in ("Krippendorff's alpha on set", "overall", level, f"{alpha}"):
        assert text in ended.out


def test_aspects_are_compared_apart_and_what_one_alone_scored_has_no_alpha(tmp_path: Path) -> None:
    one = scores(tmp_path / "one", [1, 2, 5, -4], None)
    other = scores(tmp_path / "other", [1, 2, 5, -4], None)
    with other.open("a", encoding="utf-8") as file:
        file.write('{"conversation": "c0", "aspect": "tone", "value": 3}\n')
    files = (f"x,s={one}", f"y,s={other}")
    found = json.loads(convogen("agreement", *files, "--protocol", "scores", "--json").out)
    plain, tone = found["agreement"][0]["aspects"]
    assert (plain["krippendorff_alpha"]["value"], plain["n"]) == (pytest.approx(1), 4)
    assert (tone["krippendorff_alpha"], tone["n"]) == (None, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"conversation": "c0", "value": "4"}', "line 1: not a score"),
        ('{"conversation": "c0", "value": true}', "line 1: not a score"),
        ('{"value": 4}', "line 1: not a score"),
        ("[" * 9999, "line 1: not a score"),
        ('{"conversation": "c0", "value": NaN}', "line 1: `value` must be a finite number"),
        ('{"conversation": "c0", "value": 1' + "0" * 400 + "}", "must be a finite number"),
        (
            '{"conversation": "c0", "value": 4}\n{"conversation": "c0", "value": 5}',
            "line 2: contradicts an earlier score for 'c0'",
        ),
        ('{"conversation": "c0", "value": null}', "contains no scores"),
        ('{"conversation": "elsewhere", "value": 4}', "no scored conversation in common"),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    good, bad = scores(tmp_path / "good", [1, 2], None), tmp_path / "bad"
    bad.write_text(text, "utf-8")
    ended = convogen("agreement", f"x,s={good}", f"y,s={bad}", "--protocol", "scores")
    assert ended.status == 2
    assert said in ended.complaint


def test_what_is_of_verdicts_is_refused(tmp_path: Path) -> None:
    good = scores(tmp_path / "good", [1, 2])
    ended = convogen("agreement", good, "--protocol", "scores", "--human", good)
    assert (ended.status, "as another FILE" in ended.err) == (2, True)
    alone = convogen("agreement", good, "--protocol", "scores")
    assert (alone.status, "give two files with scores" in alone.err) == (2, True)
    assert "cannot be read" in convogen("agreement", "none", "--protocol", "scores").complaint
