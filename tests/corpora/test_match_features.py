"""Features of turns are steered towards those of people, and a gate keeps their distribution."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_line import convogen
from killable import run_program
from programs.steered_run import FEATURES, experiment, people, script
from scipy.stats import wasserstein_distance

from convogen import Experiment, run
from convogen.corpora import open_corpus
from convogen.corpora.conversation_shapes import MARKS, Shape, Shapes
from convogen.errors import EndpointDown, ExperimentError
from convogen.methods.convogen.steering import STEERABLE, starter_note, turn_notes
from convogen.models.backends.scripted import Script, ScriptedModel
from convogen.models.base import Request
from convogen.realism.features import features_named, measure
from convogen.realism.samples import dialogue_of
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Run

PROGRAM = Path(__file__).parents[1] / "programs" / "steered_run.py"
DATA_SET = ("experiences", "conversations", "rejected", "failures", "calls")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return people(tmp_path / "people.jsonl")


def played(made: Experiment, out: Path, said: Script = script) -> Run:
    return run(made, out, open_model=lambda _: ScriptedModel(said))


def data_set(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.jsonl").read_bytes() for name in DATA_SET}


def values(source: str | Path) -> np.ndarray:
    dialogues = [found for one in open_corpus(source) if (found := dialogue_of(one))]
    return measure(dialogues, features_named(FEATURES))


def test_the_gap_in_three_features_closes_by_half_at_most_twice_the_calls(
    corpus: Path, tmp_path: Path
) -> None:
    n = 80
    before = played(experiment(corpus, n, match_features=[]), tmp_path / "before")
    after = played(experiment(corpus, n), tmp_path / "after")
    human = values(corpus)
    ours, theirs = values(tmp_path / "after"), values(tmp_path / "before")
    for at, name in enumerate(FEATURES):
        gap = wasserstein_distance(theirs[:, at], human[:, at])
        assert wasserstein_distance(ours[:, at], human[:, at]) <= gap / 2, name
    accepted, rejected = list(after.conversations()), list(after.rejected())
    assert len(accepted) == n
    assert 0 < len(rejected) <= n
    calls = [sum(1 for _ in one.ledger()) for one in (before, after)]
    assert calls[1] <= 2 * calls[0]


def test_the_same_bytes_at_any_concurrency(corpus: Path, tmp_path: Path) -> None:
    for concurrency in (1, 16):
        made = experiment(corpus, 20, concurrency=concurrency)
        played(made, tmp_path / f"{concurrency}")
    assert data_set(tmp_path / "1") == data_set(tmp_path / "16")


@pytest.mark.parametrize("call", [1, 23, 24, 90, 121, 160])
def test_stopped_at_any_call_it_goes_on_to_the_same_bytes(
    corpus: Path, tmp_path: Path, call: int
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    played(experiment(corpus, 12, concurrency=4), whole)
    left = [call]

    def breaks(request: Request) -> str:
        left[0] -= 1
        if left[0] <= 0:
            raise EndpointDown("endpoint gone")
        return script(request)

    with pytest.raises(EndpointDown):
        played(experiment(corpus, 12, concurrency=4), stopped, breaks)
    played(experiment(corpus, 12, concurrency=4), stopped)
    assert data_set(stopped) == data_set(whole)


def start(folder: Path, kill_after: int | None = None) -> int:
    extra = [] if kill_after is None else [kill_after]
    return run_program(PROGRAM, folder, 12, 8, folder.with_name("asked"), *extra)


def test_killed_again_and_again_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    whole.parent.mkdir()
    killed.parent.mkdir()
    assert start(whole) == 0
    kills = 0
    while (status := start(killed, 170)) != 0:
        assert status == -signal.SIGKILL
        kills += 1
        assert kills < 20
    assert kills > 1
    assert data_set(killed) == data_set(whole)
    lines = killed.with_name("asked").read_text().splitlines()
    assert max(Counter(line for line in lines if line.startswith("answer ")).values()) == 1


def test_a_longer_run_begins_with_the_shorter_one(corpus: Path, tmp_path: Path) -> None:
    played(experiment(corpus, 8), tmp_path / "run")
    shorter = (tmp_path / "run" / "conversations.jsonl").read_bytes()
    played(experiment(corpus, 16), tmp_path / "run")
    played(experiment(corpus, 16), tmp_path / "at-once")
    longer = data_set(tmp_path / "run")
    assert longer["conversations"].startswith(shorter)
    assert longer == data_set(tmp_path / "at-once")


def test_each_speaker_is_told_of_the_turns_of_one_in_the_corpus() -> None:
    asks, none = frozenset({"question_turns"}), frozenset[str]()
    shape = Shape((3, 4, 5, 6), (0, 1, 0, 1), (asks, none, none, asks))
    notes = turn_notes(shape, ["Ada", "Ben", "Cem"], ["question_turns"])
    ends, not_ask = (f"(In this turn: {said}.)" for said in STEERABLE["question_turns"])
    assert notes == {"Ada": (ends, not_ask), "Ben": (not_ask, ends), "Cem": (ends, not_ask)}
    assert starter_note(shape, ["question_turns"]) == (
        f"(In the text of the starter: {STEERABLE['question_turns'][0]}.)"
    )
    assert starter_note(shape, []) is None


def test_a_request_says_what_the_turn_is_to_be_like_and_only_if_asked(
    corpus: Path, tmp_path: Path
) -> None:
    def asked(name: str, **keys: object) -> list[Request]:
        requests: list[Request] = []

        def listens(request: Request) -> str:
            requests.append(request)
            return script(request)

        played(experiment(corpus, 2, gates=[], **keys), tmp_path / name, listens)
        return requests

    steered = asked("steered", match_features=["commas"])
    for request in steered:
        place = {"agent": "(In this turn: ", "generator": "(In the text of the starter: "}
        told = [f"{place.get(request.role)}{said}.)" for said in STEERABLE["commas"]]
        ending = request.messages[-1].content.endswith(tuple(told))
        assert ending is (request.role != "selector")
    plain = asked("plain", match_features=[])
    assert not any("(In th" in message.content for one in plain for message in one.messages)


def test_a_corpus_marks_each_turn_by_itself() -> None:
    turns = [("A", "who, me?"), ("B", "Yes."), ("A", "oh")]
    talk = Conversation(id="c", turns=[Turn(speaker=who, text=text) for who, text in turns])
    features = ["question_turns", "lower_case_starts", "commas", "short_turns"]
    [shape] = list(Shapes.from_corpus([talk], features))
    assert [sorted(marks) for marks in shape.marks] == [
        ["commas", "lower_case_starts", "question_turns", "short_turns"],
        ["short_turns"],
        ["lower_case_starts", "short_turns"],
    ]
    assert Shapes.from_corpus([talk]).hash != Shapes.from_corpus([talk], features).hash
    assert len(STEERABLE) <= MARKS
    assert features_named(list(STEERABLE))


def refused(corpus: Path | None, features: list[str]) -> str:
    match = {"match": str(corpus)} if corpus else {}
    with pytest.raises(ExperimentError) as caught:
        Experiment({"name": "x", **match, "match_features": features}, "mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_features_are_checked_with_the_nearest_names(corpus: Path) -> None:
    unknown = refused(corpus, ["lower_case"])
    assert "match_features" in unknown
    assert "'lower_case' is not known; did you mean lower_case_starts?" in unknown
    assert "twice" in refused(corpus, ["commas", "commas"])
    assert "requires match" in refused(None, ["commas"])


def test_unused_it_is_not_in_the_fingerprint_and_used_it_implies_the_gate(
    corpus: Path, tmp_path: Path
) -> None:
    plain = Experiment({"name": "x", "match": str(corpus)})
    assert "match_features" not in plain.fingerprint_inputs
    assert plain.gates == []
    matched = Experiment({"name": "x", "match": str(corpus), "match_features": ["commas"]})
    [gate] = matched.fingerprint_inputs["gates"]
    assert (gate["gate"], gate["features"]) == ("profile", ["commas"])
    assert matched.fingerprint != plain.fingerprint
    without = Experiment(
        {"name": "x", "match": str(corpus), "match_features": ["commas"], "gates": []}
    )
    assert without.gates == []
    for nth, one in enumerate((plain, matched, without)):
        (tmp_path / f"{nth}.yaml").write_text(one.to_yaml(), "utf-8")
        assert Experiment.load(tmp_path / f"{nth}.yaml").fingerprint == one.fingerprint


def test_with_a_language_both_implied_gates_hold(corpus: Path) -> None:
    keys = {"match": str(corpus), "match_features": ["commas"], "language": "ja"}
    assert [gate.name for gate in Experiment({"name": "x", **keys}).gates] == [
        "language",
        "profile",
    ]


def test_from_the_command_line_to_the_report(corpus: Path, tmp_path: Path) -> None:
    common = ("run", "demo", "--model", "scripted", "--n", "4", "--match", corpus)
    matched = convogen(
        *common, "--set", "match_features=[question_turns, commas]", "--out", tmp_path / "after"
    )
    assert matched.status == 0, matched.err
    assert convogen(*common, "--out", tmp_path / "before").status == 0
    ended = convogen(
        "report",
        tmp_path / "after",
        "--baseline",
        tmp_path / "before",
        "--out",
        tmp_path / "report",
        "--json",
    )
    assert ended.status == 0, ended.err
    numbers = json.loads(ended.out)
    assert not [limit for limit in numbers["limits"] if "differs from the baseline" in limit]
    runs = numbers["runs"]
    rejected = sum(1 for _ in Run(tmp_path / "after").rejected())
    features = runs["after"]["features"]
    assert features["finished_per_accepted"] == (4 + rejected) / 4
    assert features["calls_per_accepted"] == sum(1 for _ in Run(tmp_path / "after").ledger()) / 4
    assert set(features["features"]) == {"question_turns", "commas"}
    commas = features["features"]["commas"]
    measured = values(tmp_path / "after")[:, FEATURES.index("commas")]
    assert commas["accepted"]["mean"] == pytest.approx(measured.mean())
    human = values(corpus)[:, FEATURES.index("commas")]
    assert commas["accepted"]["distance"] == pytest.approx(wasserstein_distance(measured, human))
    assert sum(commas["human_shares"]) == pytest.approx(1)
    assert set(runs["before"]["features"]["features"]) == {"question_turns", "commas"}
    page = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "after: commas per 100 words" in page
    assert "Calls per accepted conversation" in page
