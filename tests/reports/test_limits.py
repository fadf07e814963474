"""A report's warnings about the limits of its numbers, on both sides of each limit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from run_rows import first_tasks

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.judges.base import Judge
from convogen.judges.geval import GEval
from convogen.judges.geval3 import GEval3
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request, TokenLogprob
from convogen.models.spec import ModelSpec

N = 100


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits") / "hundred"
    small = {"n": N, "models": "scripted", "max_turns": 2, "participants": 2}
    run(Experiment.load("GPFS-s", small), folder)
    return folder


@pytest.fixture
def copied(hundred: Path, tmp_path: Path) -> Callable[..., Path]:
    def copy(name: str, n: int = 2, **manifest: Any) -> Path:
        folder = first_tasks(Path(shutil.copytree(hundred, tmp_path / name)), n)
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | manifest))
        return folder

    return copy


def said(
    tmp_path: Path, *folders: Path, against: Path | None = None, baseline: Path | None = None
) -> list[str]:
    others = ["--against", against] if against else []
    others += ["--baseline", baseline] if baseline else []
    ended = convogen("report", *folders, *others, "--out", tmp_path / "report", "--json")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)["limits"]


def judged(
    folder: Path,
    reply: Any,
    judge: Judge | None = None,
    *,
    n: int | None = None,
    logprobs: bool = True,
) -> Path:
    """Judge the run with G-Eval; `reply` is the answer to its request for a score."""

    def script(request: Request) -> Any:
        if not request.choices:
            return "They keep to it."
        return reply(request) if callable(reply) else reply

    model = ScriptedModel(script, logprobs=logprobs)
    judge = judge or GEval()
    judge_run(folder, judge, ModelSpec(name="scripted"), n=n, open_model=lambda _: model)
    return folder


def token(mass: float) -> list[TokenLogprob]:
    return [TokenLogprob("4", log(mass), (("4", log(mass)), ("so", log(1 - mass))))]


def test_a_hundred_conversations_are_not_few(copied: Callable[..., Path], tmp_path: Path) -> None:
    folders = [copied("enough", 100), copied("few", 99), copied("fewer", 99), copied("single", 1)]
    texts = [text for text in said(tmp_path, *folders) if "conversation" in text[:50]]
    few = [text.split(". ")[0] for text in texts if "only" in text]
    assert few == ["few, fewer: only 99 conversations", "single: only 1 conversation"]


def test_an_unfinished_run_and_the_models_that_are_for_trying_are_named(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    strange = {"agent": {"name": "m", "kind": "embedded"}, "generator": {"name": "n"}}
    folders = [copied("done"), copied("begun", complete=False, models=strange)]
    found = said(tmp_path, *folders)
    assert [text for text in found if "not complete" in text] == [
        "begun: the run is not complete; its numbers will change."
    ]
    assert [text[:40] for text in found if "embedded model run on" in text] == [
        "begun: written by an embedded model run "
    ]
    assert [text for text in found if "written by the scripted model" in text] == [
        "done: written by the scripted model, which returns canned words and is not a language "
        "model."
    ]


def test_tasks_that_failed_are_counted_and_none_is_not(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copied("lossy")
    rows = [json.loads(line) for line in (folder / "conversations.jsonl").read_text().splitlines()]
    lost = {"id": rows[1]["id"], "task": 1, "stage": "s", "kind": "k", "message": "m"}
    (folder / "conversations.jsonl").write_text(json.dumps(rows[0]) + "\n")
    (folder / "failures.jsonl").write_text(json.dumps(lost) + "\n")
    found = [text for text in said(tmp_path, folder, copied("whole")) if "no conversation" in text]
    assert found == ["lossy: tasks that produced no conversation: 1. Measures exclude these tasks."]


def test_rows_of_a_corpus_that_cannot_be_read_are_counted(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = tmp_path / "talk.jsonl"
    corpus.write_text('["Tea?", "Yes."]\n5\n["No.", "Oh."]\n6\n')
    found = said(tmp_path, copied("a"), against=corpus)
    assert [text for text in found if "could not be read" in text] == [
        "talk.jsonl: rows that are left out because they could not be read: 2."
    ]
    corpus.write_text('["Tea?", "Yes."]\n')
    assert "could not be read" not in " ".join(said(tmp_path, copied("b"), against=corpus))


def test_what_differs_from_the_baseline_besides_the_matching_is_named(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    base = copied("base")
    essence = json.loads((base / "manifest.json").read_text())["experiment"]
    sources = {**essence["sources"], "match": "cc"}
    matched = copied("matched", experiment={**essence, "max_turns": 9, "sources": sources})
    other = copied("other", experiment={**essence, "shots": 5, "prompts": {"agent": "x"}})
    texts = said(tmp_path, matched, other, baseline=base)
    assert [text for text in texts if "baseline" in text] == [
        "other: differs from the baseline base in more than the matching (shots, prompts), so not "
        "all changes are due to the matching."
    ]


def test_who_was_not_judged_is_told(copied: Callable[..., Path], tmp_path: Path) -> None:
    other = judged(copied("other"), "2", GEval3())
    found = said(tmp_path, copied("none"), other, judged(copied("all"), "4"))
    assert [text for text in found if "judged" in text] == [
        "none: not judged; to add groundedness, run `convogen evaluate RUN --judge geval`.",
        "other: groundedness not judged; to judge it, run `convogen evaluate RUN --judge geval`.",
    ]
    kinds = [text for text in found if "the judge is the scripted model" in text]
    assert [text.split(" the judge")[0] for text in kinds] == ["other: geval3:", "all:"]


def test_scores_of_samples_and_of_part_of_the_conversations_are_told(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    """Nine aspects of one of two conversations are scored."""
    found = said(tmp_path, judged(copied("part"), "4", n=1, logprobs=False))
    assert "part: conversations judged: 1 of 2." in found
    samples = [text.split(".")[0] for text in found if "samples" in text]
    assert samples == ["part: scores that are means of samples: 9"]
    whole = said(tmp_path, judged(copied("whole"), token(0.9)))
    assert not [text for text in whole if "conversations judged" in text or "samples" in text]


@pytest.mark.parametrize(("mass", "told"), [(0.3, True), (0.49, True), (0.51, False)])
def test_a_judge_that_would_rather_say_something_else_is_told(
    mass: float, told: bool, copied: Callable[..., Path], tmp_path: Path
) -> None:
    found = said(tmp_path, judged(copied("wordy"), token(mass)))
    texts = [text for text in found if "score tokens" in text]
    shown = f"wordy: the judge's score tokens had only {mass:.0%} of the probability on average."
    assert [text.startswith(shown) for text in texts] == [True] * told


def test_missing_scores_are_counted_with_their_reasons(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    """Neither of two conversations has a score for engagingness."""

    def reply(request: Request) -> str:
        return "none" if "Engagingness" in request.messages[-1].content else "2"

    found = said(tmp_path, judged(copied("gaps"), reply, GEval3()))
    assert any(
        text == "gaps: geval3: missing scores: 2; reasons: no single score from 1 to 3 in the "
        "reply (2)."
        for text in found
    ), found


def test_every_report_ends_with_what_holds_for_all(
    copied: Callable[..., Path], tmp_path: Path
) -> None:
    last = said(tmp_path, copied("a"))[-3:]
    begins = ["The intervals reflect", "The published numbers were", "As in the paper, the judge"]
    assert [text[: len(start)] for text, start in zip(last, begins, strict=True)] == begins
