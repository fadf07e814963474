"""Pass rates by model, data set and length, beside the published ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from command_line import convogen

from convogen.errors import SourceError
from convogen.papers.dialogueforge.pass_rate_chart import draw
from convogen.papers.dialogueforge.pass_rates import compare, published_rate, read_cell
from convogen.published import published

JUDGED = Path(__file__).parents[4] / "shared/data/dialogueforge/judgements/gpt-4o/uni_eval"
PNG = b"\x89PNG"


def verdicts(path: Path, passed: int, of: int = 40) -> Path:
    rows = [{"choice": "No" if at < passed else "Yes"} for at in range(of)]
    random.Random(path.name).shuffle(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run_folder(path: Path, passed: str, model: object, utterances: int) -> Path:
    """A judged run as far as the tables read it: `passed` has a `+` or `-` for each dialogue."""
    (path / "scores").mkdir(parents=True)
    keys = {"seeds": "data/oasst1_en.jsonl", "utterances": utterances, "models": model}
    (path / "experiment.yaml").write_text(json.dumps(keys))
    rows, said = [], []
    for at, mark in enumerate(passed):
        turns = [{"speaker": "user", "text": "Hi"}]
        rows.append({"id": f"{path.name}{at}", "context": {"seed": f"s{at}"}, "turns": turns})
        score = {"conversation": f"{path.name}{at}", "judge": "unieval", "aspect": "human_like"}
        choice = {"+": {"choice": "No"}, "-": {"choice": "Yes"}, "?": {"reason": "junk"}}[mark]
        said.append(score | choice)
    for name, lines in (("conversations.jsonl", rows), ("scores/unieval.jsonl", said)):
        (path / name).write_text("".join(json.dumps(row) + "\n" for row in lines))
    return path


@pytest.mark.skipif(not JUDGED.exists(), reason="the DialogueForge verdicts are not here")
def test_the_published_rates_and_the_gain_come_out(tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    ended = convogen(
        "verdicts",
        f"Llama-3.2-3B,OASST1,6={JUDGED / 'oasst1_en_llama_3B_GPT4oMini_6.jsonl'}",
        f"Llama-3.2-3B (FT),OASST1,6={JUDGED / 'oasst1_en_llama_3b_v2_GPT4oMini_6.jsonl'}",
        f"real,OASST1={JUDGED / 'oasst1_en_min_6_turns_summary.jsonl'}",
        *("--protocol", "unieval", "--table", "--json", "--chart", chart),
    )
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    rates = [(round(row["rate"], 2), row["published"]) for row in found["cells"]]
    assert rates == [(35.11, 35.11), (55.93, 55.93), (90.07, None)]
    [gain] = found["finetuning"]
    assert (round(gain["gain"], 2), gain["published"]) == (20.82, 20.82)
    assert gain["low"] > 0
    assert chart.read_bytes().startswith(PNG)


def test_a_run_says_what_it_is_of_and_is_compared_by_seed(tmp_path: Path) -> None:
    short = run_folder(tmp_path / "a", "++++-++++?", {"inquirer": {"name": "tiny"}}, 6)
    long = run_folder(tmp_path / "b", "++++------", {"default": "big", "inquirer": "tiny"}, 12)
    found = compare([read_cell(str(each), "unieval") for each in (long, short)], "unieval")
    cells = [(row["model"], row["data"], row["utterances"], row["rate"]) for row in found["cells"]]
    assert cells == [("tiny", "OASST1", 12, 40.0), ("tiny", "OASST1", 6, 80.0)]
    assert [row["missing"] for row in found["cells"]] == [0, 1]
    [change] = found["degradation"]
    assert (change["from"], change["to"], change["change"]) == (6, 12, -40.0)
    assert (change["paired"], change["n"]) == (True, 10)
    assert -100 <= change["low"] < -40 < change["high"] <= 0
    assert found["finetuning"] == []


@pytest.mark.parametrize(
    "name", ["Llama-3.2-3B (FT)", "llama-3.2-3b-ft", "Llama-3.2-3B (finetuned)"]
)
def test_a_fine_tuned_model_is_found_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    cells = [
        read_cell(f"{name},OASST1,{cap}={verdicts(tmp_path / f'{cap}.jsonl', cap)}", "unieval")
        for cap in (6, 12)
    ]
    [change] = compare(cells, "unieval")["degradation"]
    assert change["published"] == -25.18


def test_tables_are_printed_with_the_published_numbers(tmp_path: Path) -> None:
    cells = [
        f"Mistral-7B,arena,6={verdicts(tmp_path / 'a.jsonl', 9)}",
        f"Mistral-7B,arena,12={verdicts(tmp_path / 'b.jsonl', 4)}",
        f"mistral-7b (ft),chatbot_arena,6={verdicts(tmp_path / 'c.jsonl', 27)}",
    ]
    ended = convogen("verdicts", *cells, "--protocol", "unieval", "--table")
    assert ended.status == 0, ended.err
    for text in ("22.50", "22.65", "9.48", "67.50", "68.56", "-12.50", "Chatbot"):
        assert text in ended.out


def test_published_gains_and_changes_follow_from_the_rates() -> None:
    tables = published("dialogueforge")
    for number in ("1a", "1b", "2a", "2b"):
        for row in tables[number].rows.values():
            for cap in (6, 12):
                gain = float(row[f"finetuned_{cap}"]) - float(row[f"base_{cap}"])  # type: ignore[arg-type]
                assert gain == pytest.approx(row[f"gain_{cap}"], abs=0.011)
    for protocol, number in (("unieval", "1a"), ("gteval", "2a")):
        for model, row in tables[number].rows.items():
            change = float(row["base_12"]) - float(row["base_6"])  # type: ignore[arg-type]
            assert change == pytest.approx(tables["3"].rows[model][protocol], abs=0.011)
    assert published_rate("unieval", "gemma-2-27b", "OASST1", 6) == 87.41
    assert published_rate("unieval", "Mistral-7B-ft", "OASST1", 12) == 15.25
    assert published_rate("gteval", "GPT-9", "OASST1", 6) is None


def test_a_chart_of_several_data_sets_and_names_that_are_not_plain(tmp_path: Path) -> None:
    cells = [
        f"{name},{data},{cap}={verdicts(tmp_path / f'{cap}.jsonl', cap)}"
        for name in ("_a", "$x^2$", "模型", "b" * 90)
        for data in ("one", "two")
        for cap in (6, 12)
    ]
    found = compare([read_cell(cell, "unieval") for cell in cells], "unieval")
    for name in ("c.svg", "again/c.svg"):
        draw(found, tmp_path / name)
    assert (tmp_path / "c.svg").read_bytes() == (tmp_path / "again/c.svg").read_bytes()


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [("c.gif", "m", "allowed endings: .png, .svg, .pdf"), ("c.png", "real", "only real dialogues")],
)
def test_what_cannot_be_drawn(tmp_path: Path, name: str, model: str, said: str) -> None:
    source = f"{model},d,6={verdicts(tmp_path / 'v.jsonl', 3)}"
    ended = convogen("verdicts", source, "--protocol", "unieval", "--chart", tmp_path / name)
    assert ended.status == 2
    assert said in ended.complaint


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = verdicts(tmp_path / "v.jsonl", 3)
    for label in ("m,d,six", "m,d,6,7"):
        with pytest.raises(SourceError, match="MODEL,DATA,N=FILE"):
            read_cell(f"{label}={path}", "unieval")
    with pytest.raises(SourceError, match="not judged yet; `convogen evaluate"):
        read_cell(str(tmp_path), "unieval")


def test_a_rate_of_all_or_nothing_is_not_said_to_be_certain(tmp_path: Path) -> None:
    ended = convogen(
        *("verdicts", verdicts(tmp_path / "none.jsonl", 0), verdicts(tmp_path / "all.jsonl", 40)),
        *("--protocol", "unieval", "--table", "--json"),
    )
    none, every = json.loads(ended.out)["cells"]
    assert none["low"] == 0.0
    assert 5 < none["high"] < 12, "Wilson's for 0 of 40 ends at 8.76"
    assert every["high"] == 100.0
    assert 88 < every["low"] < 95
