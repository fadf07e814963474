"""Pass rates by model, data set and length, next to the published rates."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from command_line import convogen

from convogen.errors import SourceError
from convogen.judges.verdict_files import Protocol
from convogen.papers.dialogueforge.as_published import paper_name, published_rate
from convogen.papers.dialogueforge.pass_rate_chart import draw
from convogen.papers.dialogueforge.pass_rates import compare, read_cell
from convogen.published import published

JUDGED = Path(__file__).parents[4] / "shared/data/dialogueforge/judgements/gpt-4o/uni_eval"
PNG = b"\x89PNG"


def verdicts(path: Path, passed: int, of: int = 40) -> Path:
    rows = [{"choice": "No" if at < passed else "Yes"} for at in range(of)]
    random.Random(path.name).shuffle(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run_folder(path: Path, passed: str, model: object, utterances: int) -> Path:
    """Write the parts of a judged run that the tables read; `passed` has `+` or `-` for each
    dialogue."""
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


@pytest.mark.skipif(not JUDGED.exists(), reason="the DialogueForge verdicts are missing")
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
    assert rates == [(35.11, 35.11), (55.93, 55.93), (90.07, 90.07)]
    assert {row["differs"] for row in found["cells"]} == {None}
    alarms = [(row["false_alarms"], round(row["false_alarm_rate"], 2)) for row in found["cells"]]
    assert alarms == [(23, 5.57), (33, 7.99), (20, 4.84)]
    [gain] = found["finetuning"]
    assert (round(gain["gain"], 2), gain["published"]) == (20.82, 20.82)
    assert gain["low"] > 0
    assert chart.read_bytes().startswith(PNG)


def test_files_of_the_published_counts_are_told_as_published(tmp_path: Path) -> None:
    """145, 231 and 372 of 413 pass; every sixth failure is due to the first utterance."""

    def judged(name: str, passed: int) -> Path:
        rows = [{"choice": "No", "index": "None"}] * passed
        rows += [{"choice": "Yes", "index": at % 6 + 1} for at in range(413 - passed)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    ended = convogen(
        "verdicts",
        f"Llama-3.2-3B,OASST1,6={judged('base', 145)}",
        f"Llama-3.2-3B (FT),OASST1,6={judged('tuned', 231)}",
        f"real,OASST1={judged('real', 372)}",
        *("--protocol", "unieval", "--table", "--json", "--chart", tmp_path / "chart.png"),
    )
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    rates = [(round(row["rate"], 2), row["published"]) for row in found["cells"]]
    assert rates == [(35.11, 35.11), (55.93, 55.93), (90.07, 90.07)]
    assert {row["differs"] for row in found["cells"]} == {None}
    alarms = [(row["false_alarms"], round(row["false_alarm_rate"], 2)) for row in found["cells"]]
    assert alarms == [(45, 10.90), (31, 7.51), (7, 1.69)]
    [gain] = found["finetuning"]
    assert (round(gain["gain"], 2), gain["published"]) == (20.82, 20.82)
    assert 0 < gain["low"] < gain["gain"] < gain["high"]
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG)


def test_a_run_says_what_it_is_of_and_is_compared_by_seed(tmp_path: Path) -> None:
    short = run_folder(tmp_path / "a", "++++-++++?", {"inquirer": {"name": "tiny"}}, 6)
    long = run_folder(tmp_path / "b", "++++------", {"default": "big", "inquirer": "tiny"}, 12)
    found = compare([read_cell(str(each), "unieval") for each in (long, short)], "unieval")
    cells = [(row.model, row.data, row.utterances, row.rate) for row in found.cells]
    assert cells == [("tiny", "OASST1", 12, 40.0), ("tiny", "OASST1", 6, 80.0)]
    assert [row.missing for row in found.cells] == [0, 1]
    [change] = found.degradation
    assert (change.before, change.after, change.change) == (6, 12, -40.0)
    assert (change.paired, change.n) == (True, 10)
    assert -100 <= change.low < -40 < change.high <= 0
    assert found.finetuning == []


@pytest.mark.parametrize(
    "name", ["Llama-3.2-3B (FT)", "llama-3.2-3b-ft", "Llama-3.2-3B (finetuned)"]
)
def test_a_fine_tuned_model_is_found_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    cells = [
        read_cell(f"{name},OASST1,{cap}={verdicts(tmp_path / f'{cap}.jsonl', cap)}", "unieval")
        for cap in (6, 12)
    ]
    [change] = compare(cells, "unieval").degradation
    assert change.published == -25.18


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
    assert published_rate("unieval", "real", "Chatbot Arena", None) == 73.65
    assert published_rate("gteval", "real", "OASST1", None) is None


def test_the_rates_behind_the_figures_agree_with_table_3() -> None:
    """Table 3 was rounded from other digits, so its last digit may differ by one."""
    tables = published("dialogueforge")
    for protocol, figure in (("unieval", "figure-2-oasst1"), ("gteval", "figure-3-oasst1")):
        assert "nerchio/Human_Chatbot-Generation" in str(tables[figure].source)
        for model, row in tables[figure].rows.items():
            if model != "real":
                change = float(row["base_12"]) - float(row["base_6"])  # type: ignore[arg-type]
                assert change == pytest.approx(tables["3"].rows[model][protocol], abs=0.011), model
    assert tables["1a"].source is None


NAMES = {
    "gpt-4o-2024-08-06": "GPT-4o",
    "openai/gpt-4o-mini": "GPT-4o mini",
    "gpt-4o-mini-2024-07-18": "GPT-4o mini",
    "deepseek-chat": "DeepSeek-V3",
    "deepseek-ai/DeepSeek-V3": "DeepSeek-V3",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": "Llama-3.3-70B",
    "llama-3.3-70b-versatile": "Llama-3.3-70B",
    "accounts/fireworks/models/llama-v3p3-70b-instruct": "Llama-3.3-70B",
    "meta.llama3-1-8b-instruct-v1:0": "Llama-3.1-8B",
    "llama3.2:3b": "Llama-3.2-3B",
    "google/gemma-2-27b-it": "Gemma-2-27B",
    "gemma2:27b": "Gemma-2-27B",
    "mistralai/Mistral-7B-Instruct-v0.3": "Mistral-7B",
    "open-mistral-7b": "Mistral-7B",
}


@pytest.mark.parametrize("name", NAMES)
def test_models_are_known_by_the_names_of_apis(name: str) -> None:
    assert paper_name(name) == NAMES[name]
    tuned = published_rate("unieval", f"{name} (FT)", "OASST1", 6)
    assert (tuned is not None) == (NAMES[name] in published("dialogueforge")["1a"].rows)


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-4o-audio-preview", "gpt-4", "deepseek-r1", "deepseek-chat-v3.1", "llama-3.3-8b"),
        *("llama3", "meta-llama/Llama-3.2-3B-Instruct-Q4_K_M", "gemma-2-9b-it", "mixtral-8x7b", ""),
    ],
)
def test_other_models_are_not_taken_for_those_of_the_paper(name: str) -> None:
    assert paper_name(name) == name


def scored(folder: Path, protocol: str, **judged_by: object) -> Path:
    """Write a judged run with the manifest of its scores."""
    run_folder(folder, "++-", "gpt-4o", 6)
    file = folder / "scores" / f"{protocol}.jsonl"
    rows = [json.loads(line) for line in (folder / "scores/unieval.jsonl").read_text().splitlines()]
    choice = {"unieval": "Yes", "gteval": "Both"}[protocol]
    told = [row | {"judge": protocol, "choice": choice, "index": 1} for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in told))
    file.with_suffix("").mkdir()
    manifest = {"fingerprint": "f", "judged_by": {"judge": protocol, **judged_by}}
    (file.with_suffix("") / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("protocol", "judged_by", "differs"),
    [
        ("gteval", {"order": "shuffled", "model": "llama3.2:3b"}, ["order", "prompt", "judge"]),
        ("gteval", {"order": "fixed", "model": "gpt-4o-2024-08-06"}, ["prompt"]),
        ("unieval", {"model": "openai/gpt-4o"}, ["prompt"]),
        ("unieval", {}, ["prompt", "judge"]),
    ],
)
def test_a_published_rate_is_marked_where_the_judge_was_asked_in_another_way(
    tmp_path: Path, protocol: Protocol, judged_by: dict[str, object], differs: list[str]
) -> None:
    folder = scored(tmp_path / "run", protocol, **judged_by)
    shown = convogen("verdicts", folder, "--protocol", protocol, "--table")
    found = json.loads(
        convogen("verdicts", folder, "--protocol", protocol, "--table", "--json").out
    )
    [cell] = found["cells"]
    assert cell["differs"] == differs
    published_rates = {"unieval": "91.53", "gteval": "35.11"}
    marks = "".join({"order": "o", "prompt": "p", "judge": "j"}[name] for name in differs)
    assert f"{published_rates[protocol]} {marks}" in shown.out
    text = " ".join(shown.out.split())
    assert ("the order is random" in text) == ("order" in differs)
    assert "the judge's prompt is convogen's own" in text
    assert ("different model" in text) == ("judge" in differs)
    draw(compare([read_cell(str(folder), protocol)], protocol), tmp_path / "chart.svg")
    assert "different judging" in (tmp_path / "chart.svg").read_text("utf-8")


def test_a_false_alarm_is_an_accusation_of_the_real_first_utterance(tmp_path: Path) -> None:
    folder = scored(tmp_path / "run", "unieval")
    cell = read_cell(str(folder), "unieval")
    assert (cell.counted.false_alarms, cell.counted.false_alarm_rate) == (3, 100.0)
    text = " ".join(convogen("verdicts", folder, "--protocol", "unieval").out.split())
    assert "3 (100.0%)" in text
    assert "false alarms, in which" in text
    keys = {"goals": 2, "models": "gpt-4o"}  # in a role play, a model writes the first utterance
    (folder / "experiment.yaml").write_text(json.dumps(keys))
    assert read_cell(str(folder), "unieval").counted.false_alarms is None
    assert (
        read_cell(str(scored(tmp_path / "pair", "gteval")), "gteval").counted.false_alarms is None
    )


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
    [("c.gif", "m", "allowed: .png, .svg, .pdf"), ("c.png", "real", "only real dialogues")],
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
    with pytest.raises(SourceError, match="not judged yet; run `convogen evaluate"):
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
