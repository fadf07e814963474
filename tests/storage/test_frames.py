"""Runs, measures and reports as pandas frames."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_rows import ROWS
from storage.test_formats import FORMATS, experience, written

import convogen.storage.run_folder
from convogen import Experiment, Run, load_run, run
from convogen.corpora import open_corpus
from convogen.errors import RunFolderError, SourceError, UserError
from convogen.judges.reference_dialogues import CorpusFolder
from convogen.metrics import measure, tally_corpus
from convogen.models.base import ModelReply
from convogen.records import Conversation, Failure, Rejected, Score, Turn, Usage
from convogen.reports.measured import measure_source
from convogen.reports.numbers import gather
from convogen.reports.report import Report
from convogen.reports.tables import report_frame
from convogen.storage.frames import COLUMNS, RunTable
from convogen.storage.run_folder import DATA_FORMAT, Outcome, RunStore
from convogen.storage.score_store import ScoreStore, move_scores_aside

TABLES: tuple[RunTable, ...] = get_args(RunTable)
USED = Usage(prompt_tokens=7, completion_tokens=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Make a run of two conversations with the scripted model."""
    folder = tmp_path_factory.mktemp("frames") / "run"
    run(Experiment.load("GPIS-s", overrides={"n": 2, "models": "scripted"}), out=folder)
    return load_run(folder)


def open_store(folder: Path) -> RunStore:
    return RunStore.open(
        folder,
        "f00d",
        "name: test\n",
        {"fingerprint": "f00d", "experiment": {"method": "convogen"}},
    )


def commit(store: RunStore, outcome: Outcome) -> None:
    journal = store.journal(store.committed)
    journal.record("k.1", "agent", "m", ModelReply("Hi", USED, "stop"), attempts=1, seconds=0.5)
    store.commit(store.committed, outcome, journal)


def spoken(task: int, *texts: str) -> Conversation:
    turns = [Turn(speaker="Rosa", text=text) for text in texts]
    return Conversation(id=f"c{task}", task=task, turns=turns)


def test_the_first_steps_of_a_notebook(finished: Run) -> None:
    results = doctest.testmod(convogen.storage.run_folder, extraglobs={"folder": finished.folder})
    assert results.attempted >= 5
    assert results.failed == 0


@pytest.mark.parametrize("table", TABLES)
def test_every_run_has_the_same_columns(table: RunTable, finished: Run, tmp_path: Path) -> None:
    """The runs are a finished run, an empty run, and a run in each earlier data format."""
    empty = written(tmp_path / "empty", DATA_FORMAT, dict.fromkeys(ROWS, ()))
    earlier = [written(tmp_path / f"{of}", of, rows) for of, rows in FORMATS.items()]
    frames = [load_run(folder).to_pandas(table) for folder in (empty, *earlier)]
    frames.append(finished.to_pandas(table))
    for frame in frames:
        assert list(frame.columns) == list(COLUMNS[table])
        assert frame.dtypes.equals(frames[0].dtypes)
        assert list(frame.index) == list(range(len(frame)))
    assert len(frames[0]) == 0


def test_the_rows_are_those_of_the_records(finished: Run) -> None:
    conversations = list(finished.conversations())
    frame = finished.to_pandas()
    assert frame["id"].tolist() == [one.id for one in conversations]
    assert frame["participants"].tolist() == [one.participants for one in conversations]
    assert frame["context"].tolist() == [one.context for one in conversations]
    turns = [turn for one in conversations for turn in one.turns]
    told = finished.to_pandas("turns")
    assert told["text"].tolist() == [turn.text for turn in turns]
    assert told["selection_reply"].isna().sum() == sum(
        turn.selection is None or turn.selection.reply is None for turn in turns
    )
    assert frame["n_words"].sum() == told["n_words"].sum() > 0
    last = conversations[-1]
    assert told["turn"].tolist()[-len(last.turns) :] == list(range(1, len(last.turns) + 1))
    experiences = list(finished.experiences())
    invented = finished.to_pandas("experiences")
    assert invented["starter_text"].tolist() == [one.starter.text for one in experiences]
    joined = frame.merge(invented, left_on="experience", right_on="id", validate="one_to_one")
    assert len(joined) == len(conversations)


def test_the_ledger_adds_up_and_has_times(finished: Run) -> None:
    ledger, rows = finished.to_pandas("ledger"), list(finished.ledger())
    assert ledger["prompt_tokens"].sum() == sum(row["prompt_tokens"] for row in rows)
    assert ledger["lost_attempts"].isna().all()
    assert ledger["judge"].isna().all()
    times = [round(at.timestamp(), 3) for at in ledger["at"]]
    assert times == [row["at"] for row in rows]
    assert f"{ledger['at'].dt.tz}" == "UTC"


def test_a_time_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    for at in ("1e300", '"noon"', "NaN"):
        (tmp_path / "ledger.jsonl").write_text(f'{{"task": 0, "at": {at}}}\n', "utf-8")
        with pytest.raises(RunFolderError, match="ledger"):
            Run(tmp_path).to_pandas("ledger")


def test_failures_and_rejected(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fault = Failure(id="f0", task=0, stage="chat", kind="echo", message="m", counts={"echo": 2})
    commit(store, Outcome(failure=fault))
    for task, value in ((1, 0.95), (2, "damn")):
        gate = {"id": f"c{task}", "task": task, "gate": "g", "reason": "r", "value": value}
        commit(store, Outcome(rejected=Rejected(**gate, conversation=spoken(task, "so it is"))))
    store.close()
    [failure] = load_run(tmp_path).to_pandas("failures").itertuples()
    assert (failure.kind, failure.counts) == ("echo", {"echo": 2})
    rejected = load_run(tmp_path).to_pandas("rejected")
    assert rejected["value"].tolist() == [0.95, "damn"]
    assert rejected["n_words"].tolist() == [3, 3]


def test_a_run_that_is_being_written(tmp_path: Path) -> None:
    """The frames include committed rows and calls of unfinished tasks, but no half-written
    lines."""
    store = open_store(tmp_path)
    commit(store, Outcome(conversation=spoken(0, "Hello.", "Well.")))
    under_way = store.journal(1)
    under_way.record("k.1", "agent", "m", ModelReply("Hm", USED, "stop"), attempts=1, seconds=0.5)
    under_way.record_lost_attempt(
        Usage(prompt_tokens=9), 1, 0.5, key="k.2", role="agent", model="m"
    )
    with (tmp_path / "conversations.jsonl").open("ab") as file:
        file.write(b'{"id": "c1", "tur')
    found = load_run(tmp_path)
    assert found.to_pandas()["id"].tolist() == ["c0"]
    assert len(found.to_pandas("turns")) == 2
    ledger = found.to_pandas("ledger")
    assert ledger["task"].tolist() == [0, 1, 1]
    assert ledger["lost_prompt_tokens"].fillna(0).tolist() == [0, 0, 9]
    store.close()


def judge(folder: Path, name: str, *values: float | None) -> None:
    store = ScoreStore.open(folder, name, {"fingerprint": "f00d", "judged_by": {}})
    for task, value in enumerate(values):
        journal = store.journal(task)
        journal.record("k.1", "judge", "m", ModelReply("4", USED, "stop"), attempts=1, seconds=0.5)
        score = Score(conversation=f"c{task}", judge=name, aspect="overall", value=value)
        store.commit(task, score, journal)
    store.close()


def test_scores_are_those_of_all_judges_but_for_what_was_moved_aside(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit(store, Outcome(conversation=spoken(0, "Hello.")))
    store.close()
    judge(tmp_path, "geval", 1.0)
    move_scores_aside(tmp_path, "geval")
    judge(tmp_path, "geval", 4.0, None)
    judge(tmp_path, "fed", 0.5)
    found = load_run(tmp_path)
    assert found.judges() == ["fed", "geval"]
    scores = found.to_pandas("scores")
    assert scores["judge"].tolist() == ["fed", "geval", "geval"]
    assert scores["value"].tolist()[:2] == [0.5, 4.0]
    assert scores["value"].isna().tolist() == [False, False, True]
    ledger = found.to_pandas("ledger")
    assert ledger["judge"].fillna("").tolist() == ["", "fed", "geval", "geval"]
    assert len(ledger) == len(list(found.ledger()))


@pytest.mark.parametrize("table", TABLES)
def test_the_documentation_lists_the_columns(table: RunTable) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/python.md").read_text("utf-8")
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{table}` |")]
    named = re.findall(r"`(\w+)`", row)[1:]
    left_out = ("_tokens", "lost_attempts")
    assert named == [name for name in COLUMNS[table] if not name.endswith(left_out)]


def test_only_the_columns_that_are_wanted(finished: Run) -> None:
    frame = finished.to_pandas("turns", ["speaker", "n_words"])
    assert list(frame.columns) == ["speaker", "n_words"]
    assert frame.equals(finished.to_pandas("turns")[["speaker", "n_words"]])


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [("turn", None, ("'turn'", *TABLES)), ("turns", ["text", "word"], ("'word'", "n_words"))],
)
def test_what_is_not_there_is_told_in_one_line(
    table: RunTable, columns: list[str] | None, said: tuple[str, ...], finished: Run
) -> None:
    with pytest.raises(UserError) as refused:
        finished.to_pandas(table, columns)
    assert "\n" not in str(refused.value)
    for word in said:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "row",
    [
        '{"id": "c0"}',
        '{"id": "c0", "turns": [{"speaker": "a"}]}',
        '{"id": "c0", "turns": 3}',
        '{"id": "c0", "turns": [], "task": "first"}',
        '{"id": "c0", "turns": [], "task": 1e99}',
        '{"id": "c0", "turns": [], "task": 1000000000000000000000000}',
        '{"id": "\\ud800", "turns": []}',
        '{"id": "c0", "turns": [], "usage": "much"}',
    ],
)
def test_a_changed_row_is_told_in_one_line(row: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "run", DATA_FORMAT, {})
    (folder / "conversations.jsonl").write_text(row + "\n", "utf-8")
    with pytest.raises(RunFolderError) as refused:
        Run(folder).to_pandas()
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_any_text_comes_back(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("texts")
    english = spoken(0, *texts).model_copy(update={"language": "en"})
    (folder / "conversations.jsonl").write_bytes(english.to_line())
    found = Run(folder)
    assert found.to_pandas("turns")["text"].tolist() == texts
    assert found.to_pandas()["n_words"].tolist() == [sum(len(text.split()) for text in texts)]


@pytest.mark.parametrize(
    ("language", "texts", "counts"),
    [("zh", ["我想借书，好吗？", "好"], [5, 1]), ("lo", ["ພາສາລາວ", "ດີ"], [None, None])],
)
def test_words_are_those_of_the_language_or_missing(
    language: str, texts: list[str], counts: list[int | None], tmp_path: Path
) -> None:
    conversation = spoken(0, *texts).model_copy(update={"language": language})
    (tmp_path / "conversations.jsonl").write_bytes(conversation.to_line())
    found = Run(tmp_path)
    turns, conversations = found.to_pandas("turns"), found.to_pandas()
    known = [count for count in counts if count is not None]
    assert turns["n_words"].astype(object).where(turns["n_words"].notna(), None).tolist() == counts
    assert conversations["n_words"].isna().tolist() == [not known]
    assert conversations["n_words"].sum() == sum(known)


def test_more_rows_than_a_block(tmp_path: Path) -> None:
    lines = [spoken(task, f"{task}").to_line() for task in range(5_000)]
    (tmp_path / "conversations.jsonl").write_bytes(b"".join(lines))
    frame = Run(tmp_path).to_pandas("turns")
    assert frame["text"].tolist() == [f"{task}" for task in range(5_000)]
    assert frame.dtypes.equals(Run(tmp_path / "none").to_pandas("turns").dtypes)


def test_what_is_judged_without_being_a_run_has_its_conversations(tmp_path: Path) -> None:
    source = tmp_path / "chats.jsonl"
    source.write_bytes(spoken(0, "Hello.", "Well.").to_line())
    corpus = CorpusFolder(str(source), tmp_path / "scores")
    assert corpus.to_pandas("turns")["text"].tolist() == ["Hello.", "Well."]
    assert len(corpus.to_pandas("scores")) == 0


def test_measures(finished: Run, tmp_path: Path) -> None:
    statistics = measure(open_corpus(str(finished.folder)))
    [row] = statistics.to_pandas().itertuples()
    assert row.turns == statistics.turns
    assert row.mtld_mean == statistics.mtld_mean
    assert row.turn_length_q75 == statistics.turn_length.q75
    assert row.group_chat_balance == statistics.group_chat.balance
    assert row.repetition_names == statistics.repetition["names"].share
    assert row.turn_checks_tidied == sum(statistics.turn_checks.tidied.values())
    nothing = tmp_path / "nothing.jsonl"
    nothing.write_bytes(spoken(0, "").to_line())
    little = measure(open_corpus(str(nothing))).to_pandas()
    assert little.dtypes.equals(statistics.to_pandas().dtypes)
    both = pd.concat([statistics.to_pandas(), little])
    assert both["mtld_mean"].isna().tolist() == [False, True]


def test_everything_that_can_be_measured_has_the_same_measures(finished: Run) -> None:
    wanted = measure(open_corpus(finished.folder))
    conversations = list(finished.conversations())
    given = (finished, finished.folder, str(finished.folder), conversations, iter(conversations))
    for one in given:
        assert measure(one) == wanted
    corpus = finished.folder / "conversations.jsonl"
    assert measure(corpus).turns == wanted.turns


@pytest.mark.parametrize("given", [7, None, ["text"], {"turns": []}])
def test_what_cannot_be_measured_is_told_in_one_line(given: object) -> None:
    with pytest.raises(UserError, match=r"^measure: cannot measure an object of type \w+; "):
        measure(given)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("table", TABLES)
def test_each_table_can_be_written_as_parquet(
    table: RunTable, finished: Run, tmp_path: Path
) -> None:
    finished.to_pandas(table).to_parquet(tmp_path / "table.parquet")
    assert list(pd.read_parquet(tmp_path / "table.parquet")) == list(COLUMNS[table])


def test_measures_of_each_conversation(finished: Run) -> None:
    corpus = open_corpus(str(finished.folder))
    per_conversation = tally_corpus(corpus).to_pandas()
    told = measure(corpus)
    assert len(per_conversation) == told.conversations
    assert per_conversation["turns"].tolist() == finished.to_pandas()["n_turns"].tolist()
    assert per_conversation["mtld"].mean() == pytest.approx(told.mtld_mean)


def test_both_renderings_of_a_source(finished: Run) -> None:
    frame = measure_source(str(finished.folder)).to_pandas()
    assert frame["rendering"].tolist() == ["text", "paper"]
    assert set(frame["source"]) == {str(finished.folder)}


def test_the_tables_of_a_report(finished: Run) -> None:
    """The numbers are unrounded, and the file of an earlier report gives the same frame."""
    report = gather({"mine": finished}, {"people": str(finished.folder)})
    frame = report_frame(report)
    ours = frame[(frame["row"] == "mine") & (frame["column"] == "MTLD")]
    [cell] = ours.itertuples()
    mean = report.runs["mine"].tables["mtld_mean"]
    assert mean is not None
    assert (cell.value, cell.low, cell.high) == (mean.value, mean.low, mean.high)
    assert cell.text == f"{mean.value:.2f}"
    assert set(frame["kind"]) == {"ours", "human", "published"}
    calls = frame[(frame["part"] == "cost") & (frame["column"] == "Calls")]["value"]
    assert calls.sum() == len(list(finished.ledger()))
    distances = frame[frame["table"] == "Distance from human conversations"]
    assert distances["value"].tolist() == [0.0, 0.0]
    parsed = json.loads(json.dumps(report.as_dict()))
    pd.testing.assert_frame_equal(report_frame(parsed), frame)
    assert Report.from_dict(parsed) == report
    assert json.dumps(Report.from_dict(parsed).as_dict()) == json.dumps(report.as_dict())


@pytest.mark.parametrize(
    ("parsed", "said"),
    [
        ({}, "not a report: convogen: is missing"),
        ({"convogen": 3}, "not a report: convogen: must be text"),
        ({"convogen": "1", "runs": {"a": {}}}, "not a report: runs.a.source: is missing"),
    ],
)
def test_what_is_no_report(parsed: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        report_frame(parsed)


def test_an_earlier_format_lacks_what_came_later(tmp_path: Path) -> None:
    old = {**experience(0)}
    del old["admitted"], old["similarity"], old["repairs"]
    folder = written(tmp_path / "run", 1, {"experiences": [old]})
    [row] = load_run(folder).to_pandas("experiences").itertuples()
    assert row.admitted is pd.NA
    assert pd.isna(row.similarity)
    assert row.repairs == row.plan == []
