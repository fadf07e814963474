"""The contract of every registered exporter, checked on a run of the scripted model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from command_line import convogen
from pydantic import ValidationError
from run_rows import first_tasks

from convogen import Experiment, run
from convogen.engine.branch import replay_conversation
from convogen.engine.judge_runner import judge_run
from convogen.errors import SourceError
from convogen.exports import ExportPlan, export_run, open_exporter
from convogen.judges.geval import GEval
from convogen.models.spec import ModelSpec
from convogen.plugins import registry
from convogen.storage.run_folder import load_run

EXPORTERS = registry.names("exporters")
FOR_TOOLS = [name for name in EXPORTERS if registry.load("exporters", name).for_tool]
DATA_SETS = [name for name in EXPORTERS if name not in FOR_TOOLS]
SPLITS = {"train": 0.5, "test": 0.5}
OPTIONS = {"dpo": {"judge": "geval", "margin": 0.01}}
"""Options that an exporter requires."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "run"
    made = run(Experiment.load("GPFS-s", {"n": 8, "models": "scripted", "max_turns": 5}), folder)
    replays = [replay_conversation(folder, one.id, 3) for one in made.conversations()]
    for judged in (made, *replays):
        judge_run(judged, GEval(), ModelSpec(name="scripted"))
    return folder


def plan(name: str, generated: Path, joins: Sequence[str] = ()) -> ExportPlan:
    """Return a plan with two splits, in which comparisons include all replays of the run."""
    exporter = open_exporter(name, OPTIONS.get(name, {}))
    compared = sorted(generated.parent.glob("run.*.turn-3.*")) if exporter.judged_by else ()
    return ExportPlan(exporter, splits=SPLITS, joins=joins, alternatives=compared)


def load(folder: Path, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an export by split, as `datasets` reads them."""
    hf = (folder / "dataset_dict.json").exists()
    found: Any = (
        datasets.load_from_disk(str(folder))
        if hf
        else datasets.load_dataset(str(folder), cache_dir=str(cache))
    )
    return {str(split): list(rows) for split, rows in found.items()}


def files(folder: Path) -> dict[str, bytes]:
    """Return the data files of an export by name, without the metadata of `datasets`."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in paths if path.name not in ("state.json", "dataset_info.json"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("name", EXPORTERS)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        registry.load("exporters", name)(surprise=1)


@pytest.mark.parametrize("name", FOR_TOOLS)
class TestExporterForTool:
    def test_the_same_run_gives_the_same_bytes(
        self, name: str, generated: Path, tmp_path: Path
    ) -> None:
        exporter = open_exporter(name, {})
        outs = [tmp_path / f"{at}{exporter.single_file or ''}" for at in "ab"]
        for out in outs:
            exported = export_run(load_run(generated), out, ExportPlan(exporter))
            assert exported.conversations.total() == len(list(load_run(generated).conversations()))
        if exporter.single_file:
            assert outs[0].read_bytes() == outs[1].read_bytes()
        else:
            assert files(outs[0]) == files(outs[1])

    def test_it_has_no_splits_and_joins_nothing(
        self, name: str, generated: Path, tmp_path: Path
    ) -> None:
        exporter = open_exporter(name, {})
        out = tmp_path / f"a{exporter.single_file or ''}"
        for more in ({"splits": SPLITS}, {"joins": ["scores"]}):
            with pytest.raises(SourceError, match=f"export to {name}: "):
                export_run(load_run(generated), out, ExportPlan(exporter, **more))
        assert not out.exists()


@pytest.mark.parametrize("name", DATA_SETS)
class TestExporter:
    def test_every_conversation_is_in_one_split_and_rows_have_the_columns(
        self, name: str, generated: Path, tmp_path: Path
    ) -> None:
        joins = ["personas", "provenance"]
        exported = export_run(load_run(generated), tmp_path / "out", plan(name, generated, joins))
        found = load(tmp_path / "out", tmp_path / "cache")
        seen = [row["id"] for split in found for row in {r["id"]: r for r in found[split]}.values()]
        known = [one.id for one in load_run(generated).conversations()]
        assert len(seen) + exported.left_out == len(known)
        assert set(seen) <= set(known)
        assert len(set(seen)) == len(seen)
        assert exported.left_out == 0 or exported.alternatives, "only pairs need an alternative"
        assert set(found) == {"train", "test"}
        for split, rows in found.items():
            assert len(rows) == exported.rows[split]
            assert all(list(row) == list(exported.columns) for row in rows)

    def test_the_same_run_gives_the_same_bytes(
        self, name: str, generated: Path, tmp_path: Path
    ) -> None:
        for out in ("one", "two"):
            export_run(load_run(generated), tmp_path / out, plan(name, generated))
        assert files(tmp_path / "one") == files(tmp_path / "two")

    def test_a_longer_run_moves_no_row_to_another_split(
        self, name: str, generated: Path, tmp_path: Path
    ) -> None:
        short = Path(shutil.copytree(generated, tmp_path / "short"))
        first_tasks(short, 5)
        for run_folder in (generated, short):
            export_run(
                load_run(run_folder), tmp_path / f"{run_folder.name}-out", plan(name, generated)
            )
        few = load(tmp_path / "short-out", tmp_path / "cache")
        many = load(tmp_path / f"{generated.name}-out", tmp_path / "cache")
        assert sum(map(len, few.values()))
        for split, found in few.items():
            assert found == many[split][: len(found)]

    def test_convogen_reads_it_back(self, name: str, generated: Path, tmp_path: Path) -> None:
        if name == "hf":
            pytest.skip("`datasets` reads it: a folder of Arrow files is no corpus")
        if name == "dpo":
            pytest.skip("a pair of replies is not a conversation")
        export_run(load_run(generated), tmp_path / "out", ExportPlan(open_exporter(name, {})))
        (path,) = (tmp_path / "out" / "data").iterdir()
        ours = json.loads(convogen("stats", generated, "--json").out)
        back = json.loads(convogen("stats", path, "--json").out)
        assert back["bad_rows"]["count"] == 0
        if name not in ("messages", "sharegpt"):  # one row per speaker, with merged turns
            assert {back[k] for k in ("turns", "mtld_mean")} == {ours["turns"], ours["mtld_mean"]}
