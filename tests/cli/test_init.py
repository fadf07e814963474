"""`convogen init`, and the output of `convogen` without arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from command_line import convogen

from convogen import Experiment, load_run


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_init_writes_is_played(tmp_path: Path) -> None:
    written = convogen("init", "night-shift.yaml")
    assert written.status == 0
    assert written.out.endswith("convogen run night-shift.yaml\n")
    ended = convogen("run", "night-shift.yaml", "--n", "2", "--model", "scripted")
    assert ended.status == 0
    assert len(list(load_run(tmp_path / "runs" / "night-shift").conversations())) == 2


def test_every_key_that_is_commented_out_is_one(tmp_path: Path) -> None:
    convogen("init")
    text = Path("experiment.yaml").read_text()
    bare = yaml.safe_load(text)
    shown = dict(re.findall(r"^# (\w+): +(.+?)(?: +# .*)?$", text, re.MULTILINE))
    assert len(shown) >= 7
    for key, value in shown.items():
        if key == "gates":
            continue
        given = yaml.safe_load(value)
        if key == "match":
            given = None  # the reader provides the example's file
        with_it = {"persona_source": {"personas": "sampled"}, "language": {"gates": []}}
        Experiment({**bare, **with_it.get(key, {}), key: given})
    gates = yaml.safe_load(
        "\n".join(line[2:] for line in text.splitlines() if re.match(r"#   - |# gates:", line))
    )
    assert len(gates["gates"]) == 2
    Experiment({**bare, **gates})


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    ended = convogen("init", "mine.yaml")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "mine.yaml: already exists" in ended.err
    assert (tmp_path / "mine.yaml").read_text() == "name: mine\n"
    ended = convogen("init", "no/x.yaml")
    assert (ended.status, ended.err) == (
        2,
        "convogen: no/x.yaml: the folder no does not exist; create it first\n",
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.yaml"]


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("noext", "noext.yaml"),
        ("x.txt", "x.txt.yaml"),
        ("-", "./-.yaml"),
        (".yaml", ".yaml.yaml"),
        ("adir.d/", "adir.d.yaml"),
    ],
)
def test_what_run_would_refuse_is_not_written(name: str, better: str, tmp_path: Path) -> None:
    ended = convogen("init", "--", name)
    assert ended.status == 2
    assert ended.complaint.endswith(f"must end with .yaml or .yml; use convogen init {better}")
    assert not list(tmp_path.iterdir())
    assert convogen("init", better).status == 0
    assert convogen("run", better, "--n", 1, "--model", "scripted").status == 0


def test_a_name_like_an_option_is_suggested_as_a_path() -> None:
    ended = convogen("init", "--", "-x.yaml")
    assert ended.out == "Wrote ./-x.yaml. Edit it, then run convogen run ./-x.yaml\n"


@pytest.mark.parametrize("name", ["on", "1e3", "a: b", "größe", "…", "null", '"'])
def test_a_file_name_is_no_yaml(name: str) -> None:
    assert convogen("init", f"{name}.yaml").status == 0
    assert convogen("run", f"{name}.yaml", "--n", "1", "--model", "scripted").status == 0


def test_alone_it_says_what_to_do_next() -> None:
    ended = convogen()
    assert ended.status == 0
    assert "convogen demo" in ended.out
    assert "convogen init" in ended.out
    convogen("run", "GPIS-s", "--n", "1", "--model", "scripted", "--out", "runs/my first")
    ended = convogen()
    assert "convogen show 'runs/my first'" in ended.out
    assert "convogen demo" not in ended.out
