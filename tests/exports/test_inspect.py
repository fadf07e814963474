"""A run as an Inspect AI log: its content, its reproducibility, and its readability in Inspect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from export_runs import played, spoken, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.exports import ExportPlan, export_run, open_exporter
from convogen.records import Score, Turn, Usage

HOSTILE = "<script>alert(1)</script> | **b** \u2028 {{ 7 * 7 }} \U0001f40d"

READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1])
summaries = read_eval_log_sample_summaries(sys.argv[1])
print(json.dumps({
    "log": json.loads(log.model_dump_json()),
    "speakers": [m.metadata["speaker"] for m in log.samples[0].messages],
    "texts": [m.text for m in log.samples[0].messages],
    "summaries": [[one.id, one.message_count] for one in summaries],
}))
"""


def run_folder(folder: Path, n: int = 3, **manifest: Any) -> Path:
    turns = [
        Turn(speaker="Ada", text=HOSTILE, origin="starter"),
        Turn(
            speaker="Bo",
            text="Fine.",
            model="/srv/models/llama.gguf",
            usage=Usage(prompt_tokens=10, completion_tokens=3, cached_tokens=4),
        ),
    ]
    scores: list[Score] = []
    for task in range(n):
        known = {"conversation": f"c-{task}", "judge": "geval"}
        scores.append(Score(**known, aspect="topic", value=1.5 + task, explanation=HOSTILE))
        scores.append(Score(**known, aspect="overall", reason="the judge gave no explanation"))
    told: dict[str, Any] = {
        "started_at": "2026-01-02T04:04:05+01:00",
        "models": {"agent": {"name": "/srv/models/llama.gguf", "kind": "gguf"}},
        **manifest,
    }
    return write_run(folder, [played(task, turns) for task in range(n)], scores, **told)


def members(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as log:
        assert log.comment == b"", "Inspect View reads no ZIP with a comment"
        return {name: json.loads(log.read(name)) for name in log.namelist() if "." in name}


def exported(run: Path, out: Path) -> dict[str, Any]:
    ended = convogen("export", run, "--to", "inspect", "--out", out)
    assert ended.status == 0, ended.err
    return members(out)


def test_a_sample_is_a_conversation_with_speakers_personas_tokens_and_scores(
    tmp_path: Path,
) -> None:
    found = exported(run_folder(tmp_path / "run"), tmp_path / "a.eval")
    sample = found["samples/c-1_epoch_1.json"]
    assert (sample["id"], sample["epoch"]) == ("c-1", 1)
    assert "Situation: place 1" in sample["input"]
    first, second = sample["messages"]
    assert first["content"] == f"Ada: {HOSTILE}"
    assert (second["metadata"]["speaker"], second["model"]) == ("Bo", "llama.gguf")
    assert [one["name"] for one in sample["metadata"]["personas"]] == ["Ada", "Bo"]
    assert sample["metadata"]["topic"] == "bread"
    usage = sample["model_usage"]["llama.gguf"]
    assert (usage["input_tokens"], usage["input_tokens_cache_read"]) == (6, 4)
    assert (usage["output_tokens"], usage["total_tokens"]) == (3, 13)
    assert list(sample["scores"]) == ["geval:topic"]
    assert sample["scores"]["geval:topic"]["value"] == 2.5
    assert sample["scores"]["geval:topic"]["explanation"] == HOSTILE
    assert sample["metadata"]["unscored"] == {"geval:overall": "the judge gave no explanation"}


def test_the_header_is_of_the_run_and_of_no_clock(tmp_path: Path) -> None:
    header = exported(run_folder(tmp_path / "run"), tmp_path / "a.eval")["header.json"]
    spec = header["eval"]
    assert spec["created"] == "2026-01-02T03:04:05+00:00"
    assert (spec["task"], spec["model"]) == ("made", "llama.gguf")
    assert spec["dataset"] == {"name": "made", "samples": 3}
    assert spec["metadata"]["fingerprint"] == "0123456789abcdef"
    assert header["status"] == "success"
    [score] = header["results"]["scores"]
    assert (score["name"], score["scored_samples"]) == ("geval:topic", 3)
    assert score["metrics"]["mean"]["value"] == pytest.approx(2.5)
    assert header["stats"]["model_usage"]["llama.gguf"]["total_tokens"] == 39
    assert "/srv" not in json.dumps(header)


def test_nothing_says_where_files_are(tmp_path: Path) -> None:
    lists = [{"words": {"file": "/home/someone/list.txt"}}]
    experiment = {"method": "convogen", "gates": lists, "persona_source": "/home/someone/hub"}
    found = exported(run_folder(tmp_path / "run", experiment=experiment), tmp_path / "a.eval")
    [step] = found["header.json"]["plan"]["steps"]
    assert (step["solver"], step["params"]["persona_source"]) == ("convogen", "hub")
    assert "list.txt" in step["params"]["gates"]
    assert "someone" not in json.dumps(found)


def test_an_unfinished_run_without_a_time_says_so(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", complete=False, started_at=None)
    header = exported(run, tmp_path / "a.eval")["header.json"]
    assert header["status"] == "cancelled"
    assert header["eval"]["created"].startswith("1970-01-01")


def test_the_roles_of_a_dialogue_with_a_chatbot_are_kept(tmp_path: Path) -> None:
    turns = [Turn(speaker="user", text="Hi"), Turn(speaker="assistant", text="Hello", model="m")]
    run = write_run(tmp_path / "run", [played(0, turns, ended="few", goal="bread")])
    sample = exported(run, tmp_path / "a.eval")["samples/c-0_epoch_1.json"]
    labels = {key: sample["metadata"][key] for key in ("goal", "ended", "context_ended")}
    assert labels == {"goal": "bread", "ended": "max_turns", "context_ended": "few"}
    [user, assistant] = sample["messages"]
    assert (user["role"], user["content"]) == ("user", "Hi")
    assert (assistant["role"], assistant["content"]) == ("assistant", "Hello")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    for name in ("a", "b"):
        exported(run, tmp_path / f"{name}.eval")
    assert (tmp_path / "a.eval").read_bytes() == (tmp_path / "b.eval").read_bytes()


def test_ids_follow_the_content(tmp_path: Path) -> None:
    ids = {
        exported(run_folder(tmp_path / f"{n}", n), tmp_path / f"{n}.eval")["header.json"]["eval"][
            "eval_id"
        ]
        for n in (2, 3)
    }
    assert len(ids) == 2


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_any_text_comes_through(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    run = write_run(folder / "run", [played(0, [Turn(speaker=text, text=text)])])
    export_run(run, folder / "a.eval", ExportPlan(open_exporter("inspect", {})))
    sample = members(folder / "a.eval")["samples/c-0_epoch_1.json"]
    assert sample["messages"][0]["content"] == f"{text}: {text}"


class TestWhereItIsWritten:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        return write_run(tmp_path / "run", [played(0, spoken("Ahello", "Bhi"))])

    def test_a_log_is_replaced_only_if_it_is_as_it_was_written(
        self, run: Path, tmp_path: Path
    ) -> None:
        args = ("export", run, "--to", "inspect", "--out", tmp_path / "a.eval")
        assert convogen(*args).status == 0
        assert "--overwrite" in convogen(*args).complaint
        assert convogen(*args, "--overwrite").status == 0
        with zipfile.ZipFile(tmp_path / "a.eval", "a") as log:
            log.writestr("samples/mine_epoch_1.json", "{}")
        before = (tmp_path / "a.eval").read_bytes()
        assert "has been changed since" in convogen(*args, "--overwrite").complaint
        assert (tmp_path / "a.eval").read_bytes() == before

    @pytest.mark.parametrize("content", [b"", b"mine", b"PK\x03\x04 mine"])
    def test_what_is_not_ours_is_left_alone(
        self, run: Path, tmp_path: Path, content: bytes
    ) -> None:
        out = tmp_path / "a.eval"
        out.write_bytes(content)
        args = ("export", run, "--to", "inspect", "--out", out, "--overwrite")
        assert "is not an export by convogen" in convogen(*args).complaint
        assert out.read_bytes() == content

    def test_nothing_else_is_left_beside_it(self, run: Path, tmp_path: Path) -> None:
        assert convogen("export", run, "--to", "inspect", "--out", tmp_path / "a.eval").status == 0
        assert {one.name for one in tmp_path.iterdir()} == {"run", "a.eval"}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--out", "{}/out"), "must be a file name ending in .eval"),
            (("--out", "{}/a.eval", "--splits", "a=0.5,b=0.5"), "does not support splits"),
            (("--out", "{}/a.eval", "--with", "personas"), "does not support joins"),
            (("--out", "{}/a.eval", "--push-to-hub", "me/mine"), "applies only to data sets"),
            (("--out", "{}/a.eval", "--perspective", "each"), "unknown key 'perspective'"),
        ],
    )
    def test_what_does_not_fit_is_said_in_one_line(
        self, run: Path, tmp_path: Path, options: tuple[str, ...], said: str
    ) -> None:
        filled = [option.replace("{}", str(tmp_path)) for option in options]
        assert said in convogen("export", run, "--to", "inspect", *filled).complaint
        assert {one.name for one in tmp_path.iterdir()} == {"run"}


def test_inspect_reads_it_back(tmp_path: Path) -> None:
    python = _python_with_inspect()
    exported(run_folder(tmp_path / "run"), tmp_path / "a.eval")
    done = subprocess.run(
        [python, "-c", READ, str(tmp_path / "a.eval")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    log = found["log"]
    assert [one["id"] for one in log["samples"]] == ["c-0", "c-1", "c-2"]
    assert log["eval"]["created"] == "2026-01-02T03:04:05+00:00"
    assert log["results"]["scores"][0]["metrics"]["mean"]["value"] == pytest.approx(2.5)
    assert log["samples"][1]["scores"]["geval:topic"]["value"] == 2.5
    assert found["speakers"] == ["Ada", "Bo"]
    assert found["texts"] == [f"Ada: {HOSTILE}", "Bo: Fine."]
    assert found["summaries"] == [["c-0", 2], ["c-1", 2], ["c-2", 2]]


def _python_with_inspect() -> str:
    """Return a Python that has inspect-ai, found by the `inspect` command next to this one or on
    PATH.

    inspect-ai needs older versions of some of convogen's packages, so it has an environment of its
    own.
    """
    if find_spec("inspect_ai"):
        return sys.executable
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    command = shutil.which("inspect", path=os.pathsep.join(places))
    python = Path(command).resolve().with_name("python") if command else None
    if python is None or not python.exists():
        pytest.skip("no inspect-ai: `make inspect` installs it")
    return str(python)
