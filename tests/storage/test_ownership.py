"""The user's own files are never replaced, emptied, moved or removed, whatever their names are."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Ended, convogen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen import Experiment, load_run, run
from convogen.errors import RunFolderError
from convogen.jsonl import replacing, write_whole

SMALL = ("--n", "1", "--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")
MINE = b"mine\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    small = {"n": 2, "max_turns": 2, "participants": 2, "models": "scripted"}
    run(Experiment.load("demo", small), folder / "run")
    yield folder / "run"
    shutil.rmtree(folder)


@pytest.fixture
def copied(finished: Path) -> Path:
    return Path(shutil.copytree(finished, "run"))


def tree(folder: Path = Path()) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def play(out: object, *more: object, experiment: object = "demo") -> Ended:
    return convogen("run", experiment, *SMALL, "--out", out, *more)


def refused(ended: Ended, *words: object) -> None:
    assert ended.status == 2, ended.out
    for word in words:
        assert str(word) in ended.complaint


OWN = (
    "experiences.jsonl",
    "conversations.jsonl",
    "log.jsonl",
    "ledger.jsonl",
    "experiment.yaml",
    "manifest.json",
    ".lock",
    ".convogen",
    "notes.txt",
    "journal/00000000.jsonl",
    "journal.new",
    "scores/geval.jsonl",
    "src/app.py",
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(st.sampled_from(OWN), min_size=1), fresh=st.booleans())
def test_a_folder_with_anything_in_it_that_is_no_run_is_left_as_it_is(
    names: set[str], fresh: bool
) -> None:
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(MINE)
    before, beside = tree(folder), sorted(Path().iterdir())
    refused(play(folder, *["--fresh"] * fresh), folder)
    assert tree(folder) == before
    assert sorted(Path().iterdir()) == beside


@pytest.mark.parametrize("out", ["", " ", "."])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "demo", *SMALL),
        ("run", "demo", "--dry-run", *SMALL),
        ("ablate", "demo", "--vary", "seed=1", *SMALL),
        ("replay", "run"),
        ("report", "run"),
        ("evaluate", "run"),
        ("arena", "run", "run2"),
        ("downstream", "classification", "run", "--held-out", "x"),
    ],
)
def test_no_command_strews_files_over_a_project(
    copied: Path, command: tuple[str, ...], out: str
) -> None:
    Path("app.py").write_bytes(MINE)
    Path("report.md").write_bytes(MINE)
    before = tree()
    if out == "." and command[0] in ("ablate", "evaluate", "arena"):
        return  # these commands create subfolders
    ended = convogen(*command, "--out", out)
    assert ended.status == 2
    assert tree() == before


def test_a_run_in_the_current_folder_where_that_is_empty() -> None:
    assert play(".").status == 0
    assert play(".", "--n", "2").status == 0
    assert len(list(load_run(".").conversations())) == 2
    refused(play(".", "--fresh"), "is the current folder")
    assert len(list(load_run(".").conversations())) == 2


HANDWRITTEN = b"""# Two bakers.
method:   convogen
n: 1
max_turns: 2   # short
participants: 2
models: scripted
"""


def test_a_handwritten_experiment_in_the_folder_of_its_run_stays() -> None:
    own = Path("my/experiment.yaml")
    own.parent.mkdir()
    own.write_bytes(HANDWRITTEN)
    for more in ([], [], ["--n", "2"], ["--concurrency", "3"]):
        ended = convogen("run", own, "--out", "my", *more)
        assert ended.status == 0, ended.err
        assert own.read_bytes() == HANDWRITTEN
    assert len(list(load_run("my").conversations())) == 2
    assert convogen("replay", "my").status == 0


def test_one_in_the_form_that_convogen_writes_stays_as_well() -> None:
    own = Path("my/experiment.yaml")
    own.parent.mkdir()
    own.write_text("method: convogen\nn: 1\nmax_turns: 2\nparticipants: 2\nmodels: scripted\n")
    text = own.read_bytes()
    for n in (1, 2):
        assert convogen("run", own, "--out", "my", "--n", n).status == 0
        assert own.read_bytes() == text


@pytest.mark.parametrize("text", [b"method: convogen\nmax_turns: 7\n", b"[", b"\xff\xfe", b"- 1"])
def test_another_experiment_in_the_folder_is_refused(text: bytes) -> None:
    Path("my").mkdir()
    Path("my/experiment.yaml").write_bytes(text)
    refused(play("my"), "my/experiment.yaml")
    assert Path("my/experiment.yaml").read_bytes() == text
    assert not Path("my/manifest.json").exists()


def test_an_experiment_that_was_changed_in_a_run_folder_is_not_written_over(copied: Path) -> None:
    own = copied / "experiment.yaml"
    text = own.read_text().replace("max_turns: 2", "max_turns: 5")
    own.write_text(text)
    refused(play(copied, "--n", "3"), own)
    own.write_text(f"# kept for the paper\n{text.replace('max_turns: 5', 'max_turns: 2')}")
    text = own.read_text()
    assert play(copied, "--n", "3").status == 0
    assert own.read_text() == text


def test_our_own_experiment_file_follows_the_run() -> None:
    for n in (1, 3):
        assert play("run", "--n", n).status == 0
        assert f"\nn: {n}\n" in Path("run/experiment.yaml").read_text()
    Path("run/experiment.yaml").unlink()
    assert play("run", "--n", 3).status == 0
    assert "\nn: 3\n" in Path("run/experiment.yaml").read_text()


@pytest.mark.parametrize(
    "manifest",
    ['{"name": "my web app", "icons": []}', "{", "[]", '{"fingerprint": "x", "training": {}}'],
)
def test_fresh_moves_runs_aside_and_nothing_else(manifest: str) -> None:
    Path("app").mkdir()
    Path("app/manifest.json").write_text(manifest)
    Path("app/index.html").write_bytes(MINE)
    before = tree()
    for more in ([], ["--fresh"]):
        refused(play("app", *more), "app")
        assert tree() == before


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.json"])
def test_a_report_of_ones_own_is_not_replaced(copied: Path, name: str) -> None:
    Path(name).write_text('{"mine": 1}')
    # It is refused before anything is measured, such as this corpus.
    command = ("report", copied, "--against", "missing.jsonl", "--out", ".")
    refused(convogen(*command), name, "move the file")
    assert {path.name for path in Path().iterdir()} == {"run", name}
    Path(name).unlink()
    for _ in range(2):
        assert convogen("report", copied, "--out", ".").status == 0


def test_other_files_of_results_are_known_by_what_is_in_them(copied: Path) -> None:
    Path("out").mkdir()
    Path("out/ablation.json").write_text('{"mine": 1}')
    vary = ("ablate", "demo", "--vary", "seed=1,2", *SMALL, "--out", "out")
    refused(convogen(*vary), "out/ablation.json")
    assert [path.name for path in Path("out").iterdir()] == ["ablation.json"]
    (copied / "scores").mkdir()
    (copied / "scores/statistics.json").write_text('{"mine": 1}')
    judging = ("--judge", "geval", "--model", "scripted")
    for more in ((), judging):
        refused(convogen("evaluate", copied, *more), "statistics.json")
    assert (copied / "scores/statistics.json").read_text() == '{"mine": 1}'
    assert [path.name for path in (copied / "scores").iterdir()] == ["statistics.json"]
    Path("verdicts.jsonl").write_text('{"choice": "Yes"}\n{"choice": "No"}\n')
    Path("chart.svg").write_bytes(MINE)
    draw = ("verdicts", "verdicts.jsonl", "--protocol", "unieval", "--chart", "chart.svg")
    refused(convogen(*draw), "chart.svg")
    assert Path("chart.svg").read_bytes() == MINE
    Path("chart.svg").unlink()
    for _ in range(2):
        assert convogen(*draw).status == 0


@pytest.mark.parametrize("own", ["geval.jsonl", "geval/notes.txt", "geval/ledger.jsonl"])
@pytest.mark.parametrize("fresh", [False, True])
def test_scores_of_ones_own_are_neither_taken_nor_moved(
    copied: Path, own: str, fresh: bool
) -> None:
    path = copied / "scores" / own
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"mine": 1')
    before = tree(copied)
    judge = ("evaluate", copied, "--judge", "geval", "--model", "scripted", *["--fresh"] * fresh)
    ended = convogen(*judge)
    assert ended.status == 2
    assert "scores/geval" in ended.err
    assert tree(copied) == before


def gguf(path: Path, more: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"GGUF" + more)
    return path


def test_a_pulled_model_takes_the_place_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOGEN_MODELS", "models")
    one, other = gguf(Path("a/m.gguf"), b"one"), gguf(Path("b/m.gguf"), b"other")
    for _ in range(2):
        assert convogen("models", "pull", one).status == 0
    refused(
        convogen("models", "pull", other), "models/m.gguf", "a different file with the same name"
    )
    assert Path("models/m.gguf").read_bytes() == b"GGUFone"
    Path("b/m.gguf").write_bytes(b"<html>")
    refused(convogen("models", "pull", other), "not a GGUF file")
    assert tree(Path("models")) == {"m.gguf": b"GGUFone"}


@pytest.mark.parametrize("taken", ["x.json.new", ".x.json.new", "x.json.old", ".x.json.tmp"])
def test_names_beside_a_file_that_is_replaced_are_nobodys(taken: str) -> None:
    Path(taken).write_bytes(MINE)
    write_whole(Path("x.json"), "1")
    os.chmod("x.json", 0o600)
    write_whole(Path("x.json"), "2")
    assert tree() == {taken: MINE, "x.json": b"2"}
    assert Path("x.json").stat().st_mode & 0o777 == 0o600
    with contextlib.suppress(ZeroDivisionError), replacing(Path("x.json")) as beside:
        beside.write_text(f"{1 / 0}")
    assert tree() == {taken: MINE, "x.json": b"2"}


def test_what_a_start_leaves_that_was_killed_at_once_is_ours() -> None:
    Path("run/journal").mkdir(parents=True)
    for name in (".lock", "ledger.jsonl", "conversations.jsonl", ".manifest.json.abc.new"):
        (Path("run") / name).touch()
    assert play("run").status == 0


def test_a_link_to_a_file_of_ones_own_is_not_followed() -> None:
    Path("mine.jsonl").write_bytes(MINE)
    Path("run").mkdir()
    Path("run/ledger.jsonl").symlink_to(Path("mine.jsonl").resolve())
    refused(play("run"), "ledger.jsonl")
    assert Path("mine.jsonl").read_bytes() == MINE


def test_a_store_is_refused_in_words_that_say_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_bytes(MINE)
    experiment = Experiment.load("demo", {"n": 1, "models": "scripted"})
    with pytest.raises(RunFolderError, match=r"contains 'notes.txt' but no manifest.json"):
        run(experiment, tmp_path / "data")
    with pytest.raises(RunFolderError, match="empty"):
        run(experiment, "")


def test_training_leaves_a_folder_that_is_none_of_its_own(copied: Path) -> None:
    said = [{"role": ("user", "assistant")[at % 2], "content": f"This is {at}."} for at in range(8)]
    for name in ("a", "b"):
        rows = [
            {
                "id": f"{name}{at}",
                "messages": [{**m, "content": f"{name} {at} {m['content']}"} for m in said],
            }
            for at in range(2)
        ]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("mine").mkdir()
    Path("mine/log.jsonl").write_bytes(b'{"step": 9')
    before = tree()
    train = ("train", "a.jsonl", "--held-out", "b.jsonl", "--base", "gone/nowhere", "--out")
    refused(convogen(*train, "mine"), "mine: contains 'log.jsonl'")
    refused(convogen(*train, copied, "--fresh"), "does not describe a training run")
    assert tree() == before


@pytest.mark.parametrize(
    "command",
    [
        ("ablate", "demo", "--vary", "style=short,chatty", *SMALL),
        ("arena", "run", "other", "--model", "scripted"),
    ],
)
def test_what_makes_several_folders_strews_them_over_nothing(
    command: tuple[str, ...], copied: Path
) -> None:
    shutil.copytree(copied, "other")
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_bytes(MINE)
    before = tree(Path("mine"))
    refused(convogen(*command, "--out", "mine"), "notes.txt", "--out")
    refused(convogen(*command, "--out", "."), "--out")
    assert tree(Path("mine")) == before


def test_what_makes_several_folders_goes_on_where_it_began() -> None:
    grid = ("ablate", "demo", "--vary", "style=short,chatty", *SMALL, "--out", "grid")
    assert convogen(*grid).status == 0
    Path("grid", "ablation.json").unlink()
    Path("grid", "notes.txt").write_bytes(MINE)
    assert convogen(*grid).status == 0
    assert Path("grid", "notes.txt").read_bytes() == MINE


def test_a_training_looks_at_its_folder_before_it_loads_a_model(copied: Path) -> None:
    Path("mine").mkdir()
    Path("mine", "manifest.json").write_text('{"name": "My app"}')
    before = tree(Path("mine"))
    learn = ("train", copied, "--held-out", copied, "--learn", "agents", "--base", "gone")
    refused(convogen(*learn, "--out", "mine"), "manifest.json")
    assert tree(Path("mine")) == before
