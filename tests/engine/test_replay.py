"""Recorded answers replay a run, or replay a conversation with different replies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, converse, refuse, say
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Conversation, Experiment, Run, load_run, run
from convogen.engine.branch import replay_conversation
from convogen.engine.replay import replay_run
from convogen.errors import EndpointDown, ExperimentError, RunFolderError, RunStopped, SourceError
from convogen.jsonl import rows_of_task
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ModelReply, Request
from convogen.prompts import load_prompt

DATA = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")


def clumsy(request: Request) -> str:
    """Return a reply that sometimes lacks an experience or a speaker, or is empty."""
    if int(request.hash, 16) % (2 if request.role == "generator" else 4) == 0:
        return "" if request.role == "agent" else "nobody"
    return improvise(request)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run with its own prompt that includes repairs, retries and failures."""
    folder = tmp_path_factory.mktemp("recorded")
    shutil.copy(load_prompt("convogen/agent").path, folder / "agent.md")
    settings = {"n": 6, "models": "scripted", "max_turns": 6, "per_round": 2, "lanes": 2}
    own = {"seed": 2, "reasks": 1, "prompts": {"agent": str(folder / "agent.md")}}
    experiment = Experiment.load("GPIS-s", settings | own)
    run(experiment, folder / "run", open_model=lambda _: ScriptedModel(clumsy))
    assert list(load_run(folder / "run").failures())
    return folder / "run"


@pytest.fixture
def copied(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "run"))


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def longest(run: Run) -> Conversation:
    """Return the last of the longest conversations."""
    return max(reversed(list(run.conversations())), key=lambda each: len(each.turns))


def test_every_call_is_kept_with_its_answer(recorded: Path) -> None:
    calls, ledger = rows(recorded / "calls.jsonl"), rows(recorded / "ledger.jsonl")
    assert [(c["task"], c["role"]) for c in calls] == [(r["task"], r["role"]) for r in ledger]
    said = {call["key"].split(".")[0]: call["text"] for call in calls}
    for conversation in load_run(recorded).conversations():
        for turn in conversation.turns[1:]:
            assert turn.text in said[turn.request or ""]
    assert not {"at", "seconds", "attempts"} & {key for call in calls for key in call}


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), max_size=12), st.booleans())
def test_the_calls_of_a_task_are_found(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], torn: bool
) -> None:
    lines = [
        {"task": t, "nth": i, "x": "x" * 9 * t} for t, n in enumerate(counts) for i in range(n)
    ]
    path = tmp_path_factory.mktemp("calls") / "calls.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"task": 3' * torn)
    for task in range(len(counts) + 1):
        assert list(rows_of_task(path, task)) == [r for r in lines if r["task"] == task]


def test_a_replay_is_the_same_data_set_and_asks_nothing(recorded: Path, tmp_path: Path) -> None:
    found = replay_run(recorded, tmp_path / "again")
    assert found.difference is None
    assert found.changed is None
    assert (found.n_conversations, found.n_calls) == (6, len(rows(recorded / "calls.jsonl")))
    for name in (*DATA, "calls.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (recorded / name).read_bytes()
    assert list(load_run(tmp_path / "again").ledger()) == []
    with pytest.raises(RunFolderError, match="already exists"):
        replay_run(recorded, tmp_path / "again")
    ended = convogen("replay", recorded)
    assert ended.status == 0
    assert "identical: 6 conversations" in ended.out


def test_faults_of_the_model_are_recorded_too(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Bytes:
        if asked.nth == 1:
            return refuse(400, "filtered", "content_filter")
        return say(None, message={"refusal": "No."}) if asked.nth == 4 else converse(asked)

    endpoint.script = script
    models = {"name": "m", "base_url": endpoint.base_url}
    experiment = Experiment.load(
        "GPFS-s", {"n": 1, "models": models, "max_turns": 3, "concurrency": 1}
    )
    result = run(experiment, tmp_path / "run")
    assert [f.kind for f in result.failures()] == ["content_filter"]
    (conversation,) = result.conversations()
    assert ["refusal"] in [turn.reasks for turn in conversation.turns]
    answered = [call for call in result.ledger() if "lost_attempts" not in call]
    assert len(answered) == len(endpoint.asked)
    asked = len(endpoint.asked)
    assert replay_run(tmp_path / "run").difference is None
    assert len(endpoint.asked) == asked


def test_a_changed_prompt_shows_as_the_first_call_that_differs(copied: Path) -> None:
    own = copied.parent / "agent.md"
    file = copied / "experiment.yaml"
    old = next(p for p in file.read_text().split() if p.endswith("agent.md"))
    shutil.copy(old, own)
    file.write_text(file.read_text().replace(old, str(own)))
    own.write_text(own.read_text() + "\nAnd mind the weather.")
    ended = convogen("replay", copied)
    assert ended.status == 1
    first = next(c for c in rows(copied / "calls.jsonl") if c["role"] == "agent")
    before = [c for c in rows(copied / "calls.jsonl") if c["task"] == first["task"]]
    nth = 1 + before.index(first)
    records = [*rows(copied / "conversations.jsonl"), *rows(copied / "failures.jsonl")]
    record = next(r for r in records if r["task"] == first["task"])
    for word in (f"task {first['task']} ({record['id']})", f"call {nth} ", "agent", "prompts"):
        assert word in ended.out


def change(path: Path, nth: int, **update: object) -> None:
    changed = rows(path)
    changed[nth] |= update
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in changed))


def test_a_changed_record_is_named_with_what_differs(copied: Path) -> None:
    third = rows(copied / "conversations.jsonl")[2]
    line = json.dumps(third | {"ended": "farewell"}, ensure_ascii=False, separators=(",", ":"))
    lines = (copied / "conversations.jsonl").read_text().splitlines()
    lines[2] = line
    (copied / "conversations.jsonl").write_text("\n".join(lines) + "\n")
    found = replay_run(copied).difference
    assert found is not None
    assert (found.task, found.record) == (third["task"], third["id"])
    assert found.what.endswith("conversations.jsonl differs in ended")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda lines: lines[:-1], "call"),
        (lambda lines: [*lines[:3], lines[3].replace('"text"', '"said"'), *lines[4:]], "damaged"),
        (lambda lines: [*lines[:3], "[]", *lines[4:]], "damaged"),
        (lambda lines: [], "calls.jsonl is missing or empty"),
    ],
)
def test_calls_that_are_missing_or_damaged_are_named(copied: Path, damage, words: str) -> None:
    path = copied / "calls.jsonl"
    path.write_text("".join(line + "\n" for line in damage(path.read_text().splitlines())))
    ended = convogen("replay", copied)
    assert ended.status in (1, 2)
    assert words in ended.out + ended.err
    assert "Traceback" not in ended.err


class Asking(ScriptedModel):
    """A model that counts its calls and fails after `most` of them."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__(lambda request: f"New words {request.hash[:6]}.")
        self.asked: list[Request] = []
        self.most = most

    async def complete(self, request: Request) -> ModelReply:
        if len(self.asked) == self.most:
            raise EndpointDown("endpoint gone")
        self.asked.append(request)
        return await super().complete(request)


def branch(recorded: Path, out: Path, turn: int, model: Asking, name: str = "scripted") -> Run:
    old = longest(load_run(recorded))
    return replay_conversation(
        recorded, old.id, turn, out, models={"default": name}, open_model=lambda _: model
    )


def texts(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in conversation.turns]


@pytest.mark.parametrize("turn", range(2, 7))
@pytest.mark.parametrize("name", ["scripted", "another"])
def test_a_conversation_with_other_replies_from_a_turn_on(
    recorded: Path, tmp_path: Path, turn: int, name: str
) -> None:
    old = longest(load_run(recorded))
    assert len(old.turns) == 6
    model = Asking()
    result = branch(recorded, tmp_path / "out", turn, model, name)
    (new,) = result.conversations()
    assert texts(new)[: turn - 1] == texts(old)[: turn - 1]
    assert len(new.turns) == 6
    assert all(text.startswith("New words") for _, text in texts(new)[turn - 1 :])
    assert {request.model for request in model.asked} == {name}
    assert {turn.model for turn in new.turns[turn - 1 :]} == {name}
    assert len(list(result.ledger())) == len(model.asked)
    assert result.manifest["complete"] is True
    origin = result.manifest["replay_of"]
    assert (origin["conversation"], origin["from_turn"]) == (old.id, turn)
    assert origin["fingerprint"] == load_run(recorded).manifest["fingerprint"]
    (experience,) = result.experiences()
    assert experience.id == new.experience == old.experience
    assert new.id != old.id


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_stopped_and_called_again_it_asks_nothing_twice(
    recorded: Path, tmp_path: Path, most: int
) -> None:
    whole, first, second = Asking(), Asking(most), Asking()
    branch(recorded, tmp_path / "whole", 3, whole)
    with pytest.raises(EndpointDown):
        branch(recorded, tmp_path / "stopped", 3, first)
    branch(recorded, tmp_path / "stopped", 3, second)
    hashes = [request.hash for request in whole.asked]
    assert [request.hash for request in first.asked + second.asked] == hashes
    for name in (*DATA, "calls.jsonl"):
        pair = [(tmp_path / out / name).read_bytes() for out in ("whole", "stopped")]
        assert pair[0] == pair[1]
    third = Asking()
    branch(recorded, tmp_path / "stopped", 3, third)
    assert third.asked == []


def test_the_command_line_plays_a_conversation_with_another_model(
    endpoint: EndpointServer, copied: Path
) -> None:
    old = longest(load_run(copied))
    endpoint.script = lambda asked: say(f"Said anew {asked.nth}.")
    arguments = ["--conversation", old.id, "--from-turn", 4, "--model", "agent=m"]
    ended = convogen("replay", copied, *arguments, "--base-url", f"agent={endpoint.base_url}")
    assert ended.status == 0, ended.err
    for word in ("Said anew 1.", "recorded, ended by", old.turns[3].speaker, "calls; in"):
        assert word in ended.out
    (out,) = copied.parent.glob(f"run.{old.id}.turn-4.*")
    for command in ("show", "stats"):
        assert convogen(command, out).status == 0
    assert convogen("report", out, "--out", copied.parent / "report").status == 0
    refused = convogen("replay", out)
    assert refused.status == 2
    assert "replay the run" in refused.complaint
    asked = len(endpoint.asked)
    again = convogen("replay", copied, *arguments, "--base-url", f"agent={endpoint.base_url}")
    assert again.out == ended.out
    assert len(endpoint.asked) == asked


def test_a_changed_prompt_stops_a_conversation_before_it_is_paid_for(copied: Path) -> None:
    old = longest(load_run(copied))
    tasks = [call["task"] for call in rows(copied / "calls.jsonl")]
    change(copied / "calls.jsonl", tasks.index(old.task), key="0.1")
    model = Asking()
    with pytest.raises(RunStopped, match=r"call 1 differs from the record"):
        replay_conversation(copied, old.id, 3, open_model=lambda _: model)
    assert model.asked == []


def test_what_cannot_be_played_again_is_refused(recorded: Path) -> None:
    old = next(load_run(recorded).conversations())
    with pytest.raises(SourceError, match="c-none"):
        replay_conversation(recorded, "c-none", 2)
    for turn in (1, 7):
        with pytest.raises(ExperimentError, match=f"turn {turn}"):
            replay_conversation(recorded, old.id, turn)
    for arguments in (["--from-turn", "2"], ["--conversation", "x"], ["--model", "m"]):
        assert convogen("replay", recorded, *arguments).status == 2
