"""The contract of every registered judge, checked on the scripted model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError
from worker_processes import InProcessWorkers

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.judges.reference_dialogues import ReferenceDialogues
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.spec import ModelSpec
from convogen.plugins import registry
from convogen.storage.run_folder import load_run

SCRIPTED = ModelSpec(name="scripted")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract") / "run"
    run(Experiment.load("GPFS-s", {"n": 2, "models": "scripted", "max_turns": 4}), folder)
    return folder


@pytest.fixture(scope="module")
def beside(generated: Path) -> ReferenceDialogues:
    """Return reference dialogues: each conversation without its last utterance."""
    shorter = {one.task: one.turns[:-1] for one in load_run(generated).conversations()}
    return ReferenceDialogues("shorter", shorter)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", registry.names("judges"))
class TestJudge:
    def test_unknown_parameters_are_refused(self, name: str) -> None:
        with pytest.raises(ValidationError, match="Extra inputs"):
            registry.load("judges", name)(surprise=1)

    def test_its_name_and_prompts(self, name: str) -> None:
        judge = registry.load("judges", name)()
        assert judge.name == name
        assert set(judge.prompts) == set(judge.prompt_names)
        assert all(
            prompt.hash in str(judge.fingerprint_inputs) for prompt in judge.prompts.values()
        )

    def test_every_aspect_is_scored_once_and_in_order(
        self, name: str, generated: Path, beside: ReferenceDialogues, tmp_path: Path
    ) -> None:
        judge = registry.load("judges", name)()
        texts: list[bytes] = []
        for concurrency, n_workers in ((1, 0), (16, 0), (16, 2)):
            folder = Path(shutil.copytree(generated, tmp_path / f"{concurrency} {n_workers}"))
            workers = InProcessWorkers(n_workers, judge.open_model) if n_workers else None
            judge_run(
                folder,
                judge,
                SCRIPTED,
                references=beside,
                concurrency=concurrency,
                workers=workers,
            )
            texts.append((folder / "scores" / f"{name}.jsonl").read_bytes())
            found = load_run(folder)
            pairs = zip(found.conversations(), found.experiences(), strict=True)
            expected = [(one.id, aspect) for one, other in pairs for aspect in judge.aspects(other)]
            scores = list(found.scores(name))
            assert [(score.conversation, score.aspect) for score in scores] == expected
            assert all(score.judge == name for score in scores)
        assert texts[0] == texts[1] == texts[2]

    def test_a_model_that_says_nothing_useful_gives_none_with_the_reason(
        self, name: str, generated: Path, beside: ReferenceDialogues, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(generated, tmp_path / "run"))
        model = ScriptedModel(lambda _: "well, well")
        judge = registry.load("judges", name)()
        judge_run(folder, judge, SCRIPTED, references=beside, n=1, open_model=lambda _: model)
        for score in load_run(folder).scores(name):
            assert score.value is None
            assert score.reason
