"""The judge that labels turns: its requests, the replies it accepts, and hostile replies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from hypothesis import given, settings
from hypothesis import strategies as st
from interaction.labelled import conversations as labelled

from convogen.engine.judge_runner import judge_run
from convogen.errors import ExperimentError, ModelFault
from convogen.judges.friction import BEHAVIOURS, FrictionJudge
from convogen.judges.reference_dialogues import CorpusFolder
from convogen.metrics.judged_friction import JUDGE, judged_friction
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request
from convogen.models.spec import ModelSpec
from convogen.records import Score

SCRIPTED = ModelSpec(name="scripted")
Script = Callable[[Request], str]


def write(path: Path, turns: int, n: int = 1) -> Path:
    rows = [
        {
            "id": f"c{nth}",
            "turns": [
                {"speaker": ("Ana", "Ben")[at % 2], "text": f"Line {at} of {nth}."}
                for at in range(turns)
            ],
        }
        for nth in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def judged(path: Path, script: Script, **keys: Any) -> list[Score]:
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    run = CorpusFolder(str(path), folder)
    model = ScriptedModel(script)
    judge_run(run, FrictionJudge(**keys), SCRIPTED, open_model=lambda _: model, fresh=True)
    return list(run.scores(JUDGE))


def asked_for(request: Request) -> list[int]:
    """Return the turns that a request asks to label."""
    assert request.schema is not None
    return [int(number) for number in request.schema["required"]]


def plain(request: Request) -> str:
    return json.dumps({f"{number}": [] for number in asked_for(request)})


def test_every_turn_has_its_labels_in_the_judges_order(tmp_path: Path) -> None:
    requests: list[Request] = []

    def script(request: Request) -> str:
        requests.append(request)
        return json.dumps({"1": [], "2": ["sarcasm", "evasion", "evasion"], "3": "Repair-Request"})

    [score] = judged(write(tmp_path / "c.jsonl", 3), script)
    assert score.turn_labels == ((), ("evasion", "sarcasm"), ("repair_request",))
    assert score.value == pytest.approx(2 / 3)
    assert score.reason is None
    [request] = requests
    shown = request.messages[-1].content
    assert "[2] Ben: Line 1 of 0." in shown
    for label, meaning in BEHAVIOURS.items():
        assert f"{label}: {meaning}" in shown


def test_long_conversations_are_labelled_stretch_by_stretch_with_what_comes_before(
    tmp_path: Path,
) -> None:
    stretches: list[tuple[list[int], list[int]]] = []

    def script(request: Request) -> str:
        shown = re.findall(r"^\[(\d+)\]", request.messages[-1].content, re.MULTILINE)
        stretches.append((asked_for(request), [int(number) for number in shown]))
        return plain(request)

    [score] = judged(write(tmp_path / "c.jsonl", 7), script, turns_per_call=3, context_turns=2)
    assert stretches == [
        ([1, 2, 3], [1, 2, 3]),
        ([4, 5, 6], [2, 3, 4, 5, 6]),
        ([7], [5, 6, 7]),
    ]
    assert score.turn_labels == ((),) * 7
    assert score.value == 0


def test_only_what_is_missing_is_asked_for_again(tmp_path: Path) -> None:
    replies = iter(
        [
            {"1": ["evasion"], "2": ["made_up"], "9": ["evasion"], "turn": 4},
            {"1": ["hedging"], "2": [], "3": ["sarcasm"]},
        ]
    )
    requests: list[Request] = []

    def script(request: Request) -> str:
        requests.append(request)
        return json.dumps(next(replies))

    [score] = judged(write(tmp_path / "c.jsonl", 3), script)
    assert score.turn_labels == (("evasion",), (), ("sarcasm",))
    assert asked_for(requests[1]) == [2, 3]
    complaint = requests[1].messages[-1].content
    assert "turn 2 has 'made_up', which is none of the labels" in complaint
    assert "turn 3 is not there" in complaint


def test_turns_that_never_get_labels_have_none_and_count_for_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", 4, n=3)

    def script(request: Request) -> str:
        return json.dumps({"1": ["evasion"], "2": [], "3": ["made up"], "4": {"evasion": True}})

    scores = judged(path, script)
    for score in scores:
        assert score.turn_labels == (("evasion",), (), None, None)
        assert score.value == 0.5
        assert score.reason is not None
        assert score.reason.startswith("labels_invalid: 2 of 4 turns have no labels: turn 3 has")
    found = judged_friction(CorpusFolder(str(path), path.with_suffix("")))
    assert found is not None
    assert (found.without_labels, found.friction.turns) == (6, 6)
    assert found.friction.shares["evasion"].value == 0.5


def test_what_does_not_fit_is_halved(tmp_path: Path) -> None:
    stretches: list[list[int]] = []

    def script(request: Request) -> str:
        if len(asked_for(request)) > 2:
            raise ModelFault("context_length", "too long", "")
        stretches.append(asked_for(request))
        return plain(request)

    [score] = judged(write(tmp_path / "c.jsonl", 5), script)
    assert stretches == [[1, 2], [3], [4, 5]]
    assert score.value == 0


@pytest.mark.parametrize(
    "reply", ["", "{", "[]", '{"1": null}', '{"1": [["evasion"]]}', "[1] evasion", "x" * 50_000]
)
def test_no_reply_ends_a_run(reply: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", 2, n=4)
    answered = iter([plain] * 1)

    def script(request: Request) -> str:
        return next(answered, lambda _: reply)(request)

    first, *rest = judged(path, script)
    assert first.turn_labels == ((), ())
    for score in rest:
        assert (score.value, score.turn_labels) == (None, None)
        assert score.reason is not None
        assert len(score.reason) <= 500


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from([*BEHAVIOURS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(["1", "2", "3", "4", "x"]), JSON))
def test_whatever_a_reply_says_labels_are_of_turns_and_of_the_judge(reply: dict[str, Any]) -> None:
    read, why = FrictionJudge()._read(json.dumps(reply), [1, 2, 3])
    assert set(read) <= {1, 2, 3}
    assert {label for labels in read.values() for label in labels} <= {*BEHAVIOURS}
    assert bool(why) is (len(read) < 3)


def test_labels_that_only_look_different_are_refused() -> None:
    with pytest.raises(ValueError, match="differ only in case"):
        FrictionJudge(behaviours={"self repair": "a", "Self-Repair": "b"})


def answers(path: Path) -> Script:
    """Return a judge that gives the manual labels, which it looks up by the texts of the turns."""
    does = {
        turn["text"]: turn.get("does", []) for turns, _ in labelled("held_out") for turn in turns
    }

    def script(request: Request) -> str:
        lines = re.findall(r"^\[(\d+)\] [^:]+: (.*)$", request.messages[-1].content, re.MULTILINE)
        return json.dumps({number: does[text] for number, text in lines})

    rows = [
        {
            "id": f"h{nth}",
            "language": "en",
            "participants": list(found.people),
            "turns": [{"speaker": turn["by"], "text": turn["text"]} for turn in turns],
        }
        for nth, (turns, found) in enumerate(labelled("held_out"))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return script


def test_the_agreement_of_rules_with_labels_by_hand_is_that_of_the_other_test(
    tmp_path: Path,
) -> None:
    """A judge that gives a person's labels agrees with the rules exactly as that person does."""
    from interaction.labelled import agreement

    path = tmp_path / "h.jsonl"
    scores = judged(path, answers(path))
    expected = agreement("held_out")
    found = judged_friction(CorpusFolder(str(path), path.with_suffix("")))
    assert found is not None
    assert found.pooled is not None
    assert found.friction.turns == expected.turns
    assert found.pooled.kappa == pytest.approx(expected.pooled_kappa, abs=0.03)
    evasion = found.agreement["evasion"]
    assert evasion.judge == expected.labelled["evasion"]
    assert evasion.both == 0
    assert len(scores) == expected.conversations


def test_stats_and_report_take_the_judges_labels_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    judged(path, answers(path))
    folder = path.with_suffix("")
    shown = convogen("stats", path, "--interaction", "--judged", folder)
    assert shown.status == 0, shown.err
    assert "judge scripted, 115 turns" in " ".join(shown.out.split())
    assert "Rules and judge compared: h.jsonl" in shown.out
    numbers = json.loads(convogen("stats", path, "--interaction", "--judged", folder, "--json").out)
    labels = numbers["judged_friction"]
    assert labels["friction"]["shares"]["evasion"]["value"] == pytest.approx(3 / 115)
    assert labels["agreement"]["evasion"]["both"] == 0
    rules = numbers["interaction"]["friction"]
    assert rules["told_by"] == "rules"
    other = tmp_path / "other.jsonl"
    other.write_bytes(path.read_bytes())
    asked = ("stats", path, "--interaction", "--judged", folder, "--against")
    by_judge = json.loads(convogen(*asked, path, "--json").out)
    assert by_judge["differences_told_by"] == "scripted"
    assert "sarcasm" in by_judge["friction_differences"]
    # If a judge labelled only one of the two corpora, the rules label both for the comparison.
    by_rules = json.loads(convogen(*asked, other, "--json").out)
    assert by_rules["differences_told_by"] == "rules"
    assert by_rules["friction_differences"]["evasion"]["value"] == 0
    shown = convogen(*asked, other).out
    assert all(who in shown for who in ("(judge", "scripted)", "(rules)"))


@pytest.mark.parametrize("broken", ["none", "other"])
def test_labels_that_are_not_there_or_of_other_data_are_refused(
    broken: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "c.jsonl", 2)
    folder = tmp_path / "labels"
    folder.mkdir()
    if broken == "other":
        judged(path, plain)
        folder = path.with_suffix("")
    other = write(tmp_path / "o.jsonl", 2)
    ended = convogen("stats", other, "--interaction", "--judged", folder)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert ("no labels" if broken == "none" else "not among the sources") in ended.err
    assert convogen("stats", other, "--judged", folder).status == 2


def test_an_unknown_key_names_the_known_ones(tmp_path: Path) -> None:
    from convogen.engine.judge_runner import open_judge

    with pytest.raises(ExperimentError, match="turns_per_call"):
        open_judge("friction", {"turns": 3})
