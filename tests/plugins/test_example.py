"""The example package: built as a wheel, installed, and used by name on the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Ended
from plugins.installing import convogen_with

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
NAMES = {
    "methods": "debate",
    "judges": "persuasion",
    "gates": "on_motion",
    "exporters": "minutes",
    "readers": "minutes",
    "metrics": "question_rate",
}
QUIET = ["-q", "--disable-pip-version-check", "--no-deps"]


def pip(*args: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the example's wheel is installed, away from its sources."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")
    built = folder / "wheel"
    pip("wheel", *QUIET, "--no-build-isolation", "--wheel-dir", built, folder / "source")
    shutil.rmtree(folder / "source")
    pip("install", *QUIET, "--no-index", "--target", folder / "site", *built.glob("*.whl"))
    return folder / "site"


@pytest.fixture(scope="module")
def finished(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run with the example's method and gate, and measure and judge it."""
    out = tmp_path_factory.mktemp("runs") / "debate"
    done(run(site, out))
    done(convogen_with(site, "evaluate", out, "--judge", "persuasion", "--model", "scripted"))
    return out


def run(site: Path, out: Path, *more: object) -> Ended:
    experiment = EXAMPLE / "debate.yaml"
    return convogen_with(
        site, "run", experiment, "--n", 4, "--model", "scripted", "--out", out, *more
    )


def done(ended: Ended) -> Ended:
    assert ended.status == 0, ended.err
    return ended


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_it_is_listed_with_its_distribution(site: Path) -> None:
    listed = json.loads(done(convogen_with(site, "list", "--plugins", "--json")).out)
    assert {row["kind"]: row["name"] for row in listed} == NAMES
    assert {row["state"] for row in listed} == {"ok"}
    assert {(row["distribution"], row["version"]) for row in listed} == {
        ("convogen-debate", "0.1.0")
    }
    plain = done(convogen_with(site, "list"))
    assert plain.err == ""
    assert "the share of turns that end with a question mark" in plain.out
    everything = json.loads(done(convogen_with(site, "list", "--json")).out)
    assert all(name in everything[kind] for kind, name in NAMES.items())


def test_its_method_and_gate_make_conversations(site: Path, finished: Path, tmp_path: Path) -> None:
    made = rows(finished / "conversations.jsonl")
    assert [row["method"] for row in made] == ["debate"] * 4
    manifest = json.loads((finished / "manifest.json").read_text("utf-8"))
    assert manifest["packages"]["convogen-debate"] == "0.1.0"
    experiment = manifest["experiment"]
    assert set(experiment["prompts"]) == {"speech"}
    assert set(experiment["gates"][0]["prompts"]) == {"verdict"}
    again = tmp_path / "again"
    done(run(site, again))
    text = (again / "conversations.jsonl").read_bytes()
    assert text == (finished / "conversations.jsonl").read_bytes()


def test_prompts_of_ones_own_take_the_place_of_its_own(
    site: Path, finished: Path, tmp_path: Path
) -> None:
    first = json.loads((finished / "manifest.json").read_text("utf-8"))["experiment"]
    (tmp_path / "mine.md").write_text(
        "---\nvariables: [motion, turns]\n---\n[user]\n{{ motion }} {{ turns | length }}", "utf-8"
    )
    keys = {
        "method": "debate",
        "motions": ["Rain is good."],
        "prompts": {"speech": "mine.md"},
        "gates": [{"gate": "on_motion", "own_prompts": {"verdict": "mine.md"}}],
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(keys), "utf-8")
    out = tmp_path / "mine"
    done(
        convogen_with(
            site, "run", tmp_path / "mine.yaml", "--n", 1, "--model", "scripted", "--out", out
        )
    )
    experiment = json.loads((out / "manifest.json").read_text("utf-8"))["experiment"]
    assert experiment["prompts"] != first["prompts"]
    assert experiment["gates"][0]["prompts"] != first["gates"][0]["prompts"]
    own = f"own_prompts={{score: {tmp_path / 'mine.md'}}}"
    judge = ("--judge", "persuasion", "--model", "scripted")
    refused = convogen_with(site, "evaluate", out, *judge, "--set", own)
    assert refused.status == 2
    assert "mine.md: the variable motion is not known; allowed: speaker, turns" in refused.complaint


def test_its_judge_scores(finished: Path) -> None:
    scores = rows(finished / "scores" / "persuasion.jsonl")
    assert [score["aspect"] for score in scores] == ["first", "second"] * 4
    assert all(score["value"] in (1, 2, 3, 4, 5) for score in scores)


def test_its_metric_is_printed_saved_and_in_the_report(
    site: Path, finished: Path, tmp_path: Path
) -> None:
    turns = [
        turn["text"] for row in rows(finished / "conversations.jsonl") for turn in row["turns"]
    ]
    rate = sum(text.endswith("?") for text in turns) / len(turns)
    saved = json.loads((finished / "scores" / "statistics.json").read_text("utf-8"))
    expected = {"value": rate, "unit": "questions / turn", "fault": None}
    assert saved["text"]["metrics"] == {"question_rate": expected}
    printed = done(convogen_with(site, "stats", finished)).out
    assert "question_rate, questions / turn" in printed
    assert f"{rate:.3f}" in printed
    done(convogen_with(site, "report", finished, "--out", tmp_path / "report"))
    assert "question\\_rate, questions / turn" in (tmp_path / "report" / "report.md").read_text(
        "utf-8"
    )


def test_its_exporter_and_its_reader_undo_each_other(
    site: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "minutes"
    dashes = ("--set", "separator=' : '")
    done(convogen_with(site, "export", finished, "--to", "minutes", "--out", out, *dashes))
    data = out / "data" / "train.jsonl"
    assert " : " in str(rows(data)[0]["minutes"])
    with data.open("a", encoding="utf-8") as file:
        file.write('{"motion": "Rain is good.", "minutes": "nobody spoke"}\n')
    found = done(convogen_with(site, "stats", data, "--json"))
    measured = json.loads(found.out)
    assert measured["conversations"] == 4
    assert measured["turns"] == 24
    assert measured["metrics"]["question_rate"]["value"] is not None
    bad = measured["bad_rows"]
    assert bad["count"] == 1
    assert "is not of the form `SPEAKER: SPEECH`" in bad["first"][0]
    assert json.loads(done(convogen_with(site, "stats", data, "--format", "minutes", "--json")).out)


def test_the_schema_knows_its_method_and_gate(site: Path) -> None:
    schema = json.loads(done(convogen_with(site, "schema")).out)
    methods = {one["properties"]["method"]["const"]: one for one in schema["oneOf"]}
    assert "motions" in methods["debate"]["properties"]
    gates = methods["debate"]["properties"]["gates"]["items"]["anyOf"]
    assert "on_motion" in gates[0]["enum"]


def test_a_grid_varies_its_parameters(site: Path, tmp_path: Path) -> None:
    vary = ("--vary", "turns=2,4", "--n", 2, "--model", "scripted", "--out", tmp_path)
    done(convogen_with(site, "ablate", EXAMPLE / "debate.yaml", *vary))
    lengths = {
        len(row["turns"]) for cell in tmp_path.glob("*/conversations.jsonl") for row in rows(cell)
    }
    assert lengths == {2, 4}
