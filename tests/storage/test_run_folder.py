from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen import load_run
from convogen.errors import RunFolderError
from convogen.generation.example_experiences import load_experiences
from convogen.models.base import ModelReply, TokenLogprob
from convogen.models.traffic.journal import Journal
from convogen.records import Conversation, Failure, Turn, Usage
from convogen.storage.run_folder import Outcome, Run, RunStore

SEED = load_experiences()[0]
MANIFEST = {"fingerprint": "f00d", "name": "test", "n": 3, "experiment": {"seed": 1}}


def conversation(task: int, text: str = "Hello.") -> Outcome:
    turns = [Turn(speaker="Rosa", text=text)]
    return Outcome(conversation=Conversation(id=f"c{task}", task=task, turns=turns))


def failure(task: int) -> Outcome:
    return Outcome(
        failure=Failure(id=f"f{task}", task=task, stage="experience", kind="k", message="m")
    )


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder, except the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def open_store(folder: Path) -> RunStore:
    return RunStore.open(folder, "f00d", "name: test\n", MANIFEST)


def fill(folder: Path) -> None:
    store = open_store(folder)
    for task, outcome in enumerate([conversation(0), failure(1), conversation(2)]):
        journal = store.journal(task)
        journal.record(
            "k.1", "agent", "m", ModelReply("Hi", Usage(), "stop"), attempts=1, seconds=0.5
        )
        store.commit(task, outcome, journal)
    store.close()


def test_what_is_committed_is_read_back(tmp_path: Path) -> None:
    fill(tmp_path)
    run = load_run(tmp_path)
    assert [c.id for c in run.conversations()] == ["c0", "c2"]
    assert [f.id for f in run.failures()] == ["f1"]
    assert [row["task"] for row in run.ledger()] == [0, 1, 2]
    assert run.manifest["fingerprint"] == "f00d"
    assert not list((tmp_path / "journal").iterdir())


def test_a_call_whose_journal_only_waits_for_the_disk_is_told_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for task in (0, 1):
        journal = store.journal(task)
        journal.record(
            "k.1", "agent", "m", ModelReply("Hi", Usage(), "stop"), attempts=1, seconds=0.5
        )
        journal.record_lost_attempt(
            Usage(prompt_tokens=9), 1, 0.5, key="k.2", role="agent", model="m"
        )
        if task == 0:
            store.commit(task, conversation(task), journal)
    assert [row["task"] for row in load_run(tmp_path).ledger()] == [0, 0, 1, 1]
    assert [row.get("lost_prompt_tokens") for row in store.ledger()] == [None, 9, None, 9]
    assert store.journal(1).find("k.2") is None
    store.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_torn_at_any_byte_is_mended_on_opening(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A torn last row is removed, and a missing newline is added; a crash cannot remove more."""
    folder = tmp_path_factory.mktemp("torn")
    fill(folder)
    torn = folder / "conversations.jsonl"
    whole = torn.read_bytes()
    keep = data.draw(st.integers(0, len(whole) - 1))
    torn.write_bytes(whole[:keep])
    first, _ = whole.splitlines(keepends=True)
    if keep < len(first) - 1:
        before = files(folder)
        with pytest.raises(RunFolderError, match=r"the row of task 0.* is missing"):
            open_store(folder)
        assert files(folder) == before
        return
    store = open_store(folder)
    assert torn.read_bytes() == (whole if keep == len(whole) - 1 else first)
    assert store.committed == (3 if keep == len(whole) - 1 else 2)
    store.close()


def test_rows_of_a_task_that_did_not_commit_are_dropped(tmp_path: Path) -> None:
    fill(tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as ledger:
        ledger.write(json.dumps({"task": 3, "role": "agent"}) + "\n")
        ledger.write('{"task": 3, "ro')
    store = open_store(tmp_path)
    assert [row["task"] for row in store.ledger()] == [0, 1, 2]
    store.close()


def test_a_foreign_run_is_refused_with_both_fingerprints_and_what_differs(tmp_path: Path) -> None:
    fill(tmp_path)
    other = {**MANIFEST, "fingerprint": "beef", "experiment": {"seed": 2}}
    with pytest.raises(RunFolderError) as refused:
        RunStore.open(tmp_path, "beef", "", other)
    for told in ("f00d", "beef", "seed: 1 there, 2 here", "--fresh"):
        assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "experiment.yaml").read_text() == "name: test\n"


def test_a_run_being_written_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(RunFolderError, match="another process"):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path).close()


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 9000))
def test_a_committed_experience_is_found_by_its_task(
    tmp_path_factory: pytest.TempPathFactory, has_one: list[bool], longest: int
) -> None:
    """The rows have very different lengths, and some tasks have none."""
    folder = tmp_path_factory.mktemp("run")
    expected = {
        task: SEED.model_copy(
            update={
                "task": task,
                "admitted": task % 3 > 0,
                "topic": "tea " * (longest * task % 997),
            }
        )
        for task, one in enumerate(has_one)
        if one
    }
    lines = [experience.to_line() for experience in expected.values()]
    (folder / "experiences.jsonl").write_bytes(b"".join(lines))
    run = Run(folder)
    assert list(run.admitted()) == [e for e in expected.values() if e.admitted]
    for task in range(-1, len(has_one) + 1):
        if task in expected:
            assert run.experience(task) == expected[task]
        else:
            with pytest.raises(RunFolderError, match=rf"experiences.jsonl: .* task {task} "):
                run.experience(task)


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"not a run folder"):
        load_run(tmp_path)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.floats(-50, 0)),
        max_size=3,
    ),
)
def test_a_journal_gives_back_what_was_answered(
    tmp_path_factory: pytest.TempPathFactory, text: str, top: list[tuple[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "00000000.jsonl"
    logprobs = (TokenLogprob("a", -0.5, tuple(top)),)
    reply = ModelReply(
        text, Usage(prompt_tokens=3, cached_tokens=1), "length", logprobs=logprobs, model="m"
    )
    Journal(path).record("key.1", "judge", "m", reply, attempts=2, seconds=0.1)
    assert Journal(path).find("key.1") == reply
    assert Journal(path).find("key.2") is None


def test_a_journal_torn_in_its_last_line_keeps_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "00000000.jsonl")
    for key in ("a.1", "b.1"):
        journal.record(key, "agent", "m", ModelReply(key, Usage(), "stop"), attempts=1, seconds=0.1)
    journal.path.write_bytes(journal.path.read_bytes()[:-9])
    again = Journal(journal.path)
    assert again.find("a.1") == ModelReply("a.1", Usage(), "stop", model="m")
    assert again.find("b.1") is None
