"""Collection of dialogues between people and a chatbot."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from studies import HOSTILE, Visitor, made, scripted, visiting

from convogen import Experiment
from convogen.errors import EndpointDown, ModelFault
from convogen.models.base import ModelReply, Request
from convogen.records import Usage
from convogen.storage.run_folder import load_run
from convogen.study.chatbot import prompt_turn
from convogen.study.store import Store


class Model:
    """A model that answers from a list and counts its requests; exceptions in the list are
    raised."""

    def __init__(self, *answers: Any, then: str = "Purring calms them.") -> None:
        self.answers = list(answers)
        self.then = then
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> ModelReply:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else self.then
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, threading.Event):
            await asyncio.to_thread(answer.wait, 30)
            answer = self.then
        return ModelReply(answer, Usage(prompt_tokens=100, completion_tokens=20), "stop")

    async def close(self) -> None:
        """Do nothing."""


def test_a_participant_reaches_all_goals(tmp_path: Path) -> None:
    folder, model = tmp_path / "study", Model()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p02"]).begin()
        assert "Tasks complete 0/2" in visitor.text
        assert "Find out why cats purr." in visitor.text
        visitor.send(message="Why do cats purr?\r\nMine does.").until("Purring calms them.")
        visitor.send(message="Always?").until("Always?")
        visitor.until("Tasks complete 0/2").send(action="next")
        assert "Tasks complete 1/2" in visitor.text
        assert "<code>1 + 2</code>" in visitor.text
        assert "Purring" not in visitor.text
        visitor.send(message="What is it?").until("Purring").send(action="next")
        assert "Thank you" in visitor.text
    roles = [message.role for message in model.asked[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert model.asked[0].messages[-1].content == "Why do cats purr?\nMine does."


def test_the_export_is_a_run_that_other_commands_read(tmp_path: Path) -> None:
    folder, out, model = tmp_path / "study", tmp_path / "out", Model()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p02"]).begin(race="White")
        for _ in range(2):
            visitor.send(message="Why?").until("Purring").send(action="next")
    ended = convogen("study", "export", folder, "--to", out)
    assert ended.status == 0, ended.err
    run = load_run(out / "natural")
    conversations = list(run.conversations())
    assert [one.task for one in conversations] == [
        2,
        3,
    ]  # the participant's number times the goals, plus the goal
    assert [failure.kind for failure in run.failures()] == ["not_held", "not_held"]
    first = conversations[0]
    assert [turn.origin for turn in first.turns] == ["human", "agent"]
    assert first.context["persona_id"] == "p02"
    assert first.context["features"]["age"] == "25 to 34"
    assert first.ended == "goal"
    assert sum(row["completion_tokens"] for row in run.ledger()) == 40
    assert json.loads(convogen("stats", out / "natural", "--json").out)
    (condition,) = json.loads(convogen("study", "tables", out / "natural", "--json").out)[
        "conditions"
    ]
    assert condition["dialogues"] == [4]
    assert condition["lengths"]["turns"]["mean"] == 1.0
    rows = (out / "participants.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["chatbot_experience"] == "None"


def test_the_same_people_can_be_simulated(tmp_path: Path) -> None:
    folder, out, model = tmp_path / "study", tmp_path / "out", Model()
    own = {"system": "Be {{brief}} {% x %}", "sampling": {"temperature": 0.5}}
    codes = made(folder, "collect", own)
    with visiting(folder, lambda _: model) as client:
        for code in codes.values():
            client.cookies.clear()
            visitor = Visitor(client).enter(code).begin(race="White")
            for _ in range(2):
                visitor.send(message="Why?").until("Purring").send(action="next")
    assert convogen("study", "export", folder, "--to", out).status == 0
    simulate = (
        "run",
        out / "simulate.yaml",
        "--model",
        "scripted",
        "--out",
        tmp_path / "simulated",
    )
    ended = convogen(*simulate, "--set", "max_turns=2")
    assert ended.status == 0, ended.err
    asked = Experiment.load(out / "simulate.yaml")
    assert asked.sampling("responder").temperature == 0.5
    assert asked.prompts["responder"].render()[0].content == model.asked[0].messages[0].content
    pairs = ("--natural", out / "natural", "--simulated", f"words={tmp_path / 'simulated'}")
    ended = convogen(
        "study",
        "new",
        tmp_path / "pairs",
        "--kind",
        "pairs",
        *pairs,
        "--each",
        2,
        "--participants",
        2,
    )
    assert ended.status == 0, ended.err
    assert "2 pairs each, drawn from 4." in ended.out
    judge = re.search(r"r01  (\S+)", ended.out)
    assert judge
    with visiting(tmp_path / "pairs") as client:
        assert "Dialogue complete 0/2" in Visitor(client).enter(judge[1]).begin().text


def test_a_reply_goes_on_without_its_browser(tmp_path: Path) -> None:
    folder, ready = tmp_path / "study", threading.Event()
    model = Model(ready)
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(message="Why do cats purr?")
        assert "The chatbot is writing" in visitor.text
        assert "Why do cats purr?" in visitor.text
        assert client.get("/study/waiting").json() == {"waiting": True}
        old = visitor.token
        for action in ("next", "retry", "say"):  # none of these actions is possible in the meantime
            client.post("/study", data={"page": old, "action": action, "message": "Again"})
        ready.set()
        visitor.until("Purring calms them.")
        assert "Again" not in visitor.text
        assert "Tasks complete 0/2" in visitor.text
        assert client.get("/study/waiting").json() == {"waiting": False}
    assert len(model.asked) == 1


def test_a_message_is_sent_once(tmp_path: Path) -> None:
    folder, model = tmp_path / "study", Model()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin()
        old = visitor.token
        visitor.send(message="Why?").until("Purring")
        visitor.took(client.post("/study", data={"page": old, "message": "Why?"}))
        assert visitor.text.count("Why?") == 1
    assert len(model.asked) == 1


def test_the_next_goal_comes_after_an_exchange(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect")
    with visiting(folder, lambda _: Model()) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(action="next")
        assert (visitor.status, "Tasks complete 0/2" in visitor.text) == (422, True)
        assert visitor.send(message="   ").status == 422
        assert visitor.send(message="x" * 9_000).status == 422
        assert "9,000" in visitor.text


@pytest.mark.parametrize(
    ("fault", "said", "logged"),
    [
        (ModelFault("content_filter", "no"), "gave no usable answer", "content_filter: no"),
        (EndpointDown("the key is refused"), "cannot be reached", "unavailable: the key is"),
        (TimeoutError(), "took too long", "slow"),
        ("   ", "gave no usable answer", "empty_reply: the reply is empty"),
        ("You are a fucking fool.", "withheld", "withheld: the reply contains"),
    ],
)
def test_a_failure_keeps_the_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Any, said: str, logged: str
) -> None:
    folder, model = tmp_path / "study", Model(fault)
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(message="Why?").until(said)
        assert "Your message has been saved" in visitor.text
        assert "fool" not in visitor.text
        assert len(model.asked) == 1
        assert "last call failed" in client.get("/progress").text
        assert f"the chatbot gave no reply: {logged}" in caplog.text
        visitor.send(action="retry").until("Purring calms them.")
        assert visitor.text.count("Why?") == 1
    assert len(model.asked) == 2


def test_a_chatbot_with_a_memory_gets_no_message_twice(tmp_path: Path) -> None:
    folder, model = tmp_path / "study", Model(ModelFault("server", "no"))
    http = {"url": "http://127.0.0.1:1/", "body": {"text": "{{ message }}"}, "answer": "text"}
    codes = made(folder, "collect", {"model": {"name": "shop", "http": http}})
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(message="Why?")
        visitor.until("gave no usable answer")
        assert "Try again" not in visitor.text
        visitor.send(action="retry")
        assert "Tasks complete 1/2" in visitor.send(action="next").text
    assert len(model.asked) == 1
    assert [message.role for message in model.asked[0].messages] == ["user"]


def test_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    """If a process ends between an answer and its display, the answer is in the journal."""
    folder, model = tmp_path / "study", Model()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        Visitor(client).enter(codes["p01"]).begin().send(message="Why?").until("Purring")
    with closing(sqlite3.connect(folder / "study.db")) as db, db:
        db.execute("DELETE FROM message WHERE nth = 1")
    with visiting(folder, lambda _: model) as client:
        Visitor(client).enter(codes["p01"]).until("Purring calms them.")
    assert len(model.asked) == 1


def test_a_message_without_a_reply_is_answered_after_a_restart(tmp_path: Path) -> None:
    folder, model = tmp_path / "study", Model()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: model) as client:
        Visitor(client).enter(codes["p01"]).begin()
    store = Store(folder / "study.db")
    store.say("p01", 0, 0, prompt_turn("Why?"))
    store.close()
    with visiting(folder, lambda _: model) as client:
        Visitor(client).enter(codes["p01"]).until("Purring calms them.")


def test_a_slow_reply_is_given_up(tmp_path: Path) -> None:
    folder, ready = tmp_path / "study", threading.Event()
    codes = made(folder, "collect", {"reply_timeout_s": 0.01})
    with visiting(folder, lambda _: Model(ready)) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(message="Why?")
        visitor.until("took too long").send(action="retry").until("Purring calms them.")
        ready.set()


@pytest.mark.parametrize("budget", [{"messages": 2}, {"tokens": 4_700}])
def test_the_budget_is_the_participants(tmp_path: Path, budget: dict[str, Any]) -> None:
    folder, model = tmp_path / "study", Model(then="Purring " + 100 * "x ")
    codes = made(folder, "collect", {"budget": budget})
    with visiting(folder, lambda _: model) as client:
        for code in codes.values():
            client.cookies.clear()
            visitor = Visitor(client).enter(code).begin()
            for at in range(20):
                if "used all your messages" in visitor.text:
                    break
                visitor.send(message=f"Why {at}?").until(f"Why {at}?").until("Purring")
                while "is writing" in visitor.text:
                    visitor.get()
            asked = len(model.asked)
            visitor.send(message="More?")
            assert len(model.asked) == asked
            assert "Tasks complete 1/2" in visitor.send(action="next").text
            if "messages" in budget:
                visitor.send(action="next")  # no more exchanges are possible
                assert "Thank you" in visitor.text


def test_a_message_is_not_sent_if_the_budget_does_not_cover_it(tmp_path: Path) -> None:
    folder, model = tmp_path / "study", Model()
    codes = made(folder, "collect", {"budget": {"tokens": 6_000}})
    with visiting(folder, lambda _: model) as client:
        visitor = Visitor(client).enter(codes["p01"]).begin().send(message="long " * 1_000)
        assert visitor.status == 422
        assert "exceeds your remaining allowance" in visitor.text
        visitor.send(message="Why?").until("Purring")
    assert len(model.asked) == 1


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect", {"goals": [{"name": HOSTILE[:60], "goal": HOSTILE}]})
    with visiting(folder, scripted(lambda _: HOSTILE)) as client:
        visitor = Visitor(client).enter(codes["p01"])
        visitor.begin().send(message=HOSTILE).until("Chatbot</p>")
        assert visitor.text.count("&lt;script&gt;alert(1)") == 3
        assert "<script>alert" not in visitor.text
        assert "<img" not in visitor.text
    assert convogen("study", "export", folder, "--to", tmp_path / "out").status == 0


def test_features_may_be_kept_to_oneself(tmp_path: Path) -> None:
    folder, out = tmp_path / "study", tmp_path / "out"
    codes = made(folder, "collect")
    nothing = dict.fromkeys(("age", "race", "gender", "education", "native_english"), "")
    with visiting(folder, lambda _: Model()) as client:
        visitor = Visitor(client).enter(codes["p01"]).send(agree="yes")
        assert visitor.send(age="17").status == 422
        visitor.send(**nothing).send(experience="None")
        visitor.send(message="Why?").until("Purring").send(action="next")
    chart = tmp_path / "people.svg"
    assert convogen("study", "export", folder, "--to", out, "--chart", chart).status == 0
    assert "native english" in chart.read_text()
    (one,) = load_run(out / "natural").conversations()
    assert "features" not in one.context
    assert "p01" not in (out / "personas.yaml").read_text()


def test_nothing_is_recorded_without_consent(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect")
    with visiting(folder, lambda _: Model()) as client:
        visitor = Visitor(client).enter(codes["p01"]).send()
        assert visitor.status == 422
        visitor.send(age="25 to 34", message="Why?")
        assert "Before you take part" in visitor.get().text
    store = Store(folder / "study.db")
    assert store.answers("p01") == {}


def test_what_is_written_in_a_second_window_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect")
    with visiting(folder, lambda _: Model()) as client:
        one = Visitor(client).enter(codes["p01"]).begin()
        other = Visitor(client).get()
        first = one.token
        one.send(message="Why do cats purr?").until("Purring calms them.")
        other.send(message="And why do they sleep?")
        assert other.status == 422
        assert "in another window" in other.text
        assert ">And why do they sleep?</textarea>" in other.text
        other.send(message="And why do they sleep?").until("And why do they sleep?</p>")
        again = client.post("/study", data={"page": first, "message": "Why do cats purr?"})
        assert again.status_code == 200
        assert again.text.count("Why do cats purr?") == 1


def test_what_is_written_while_the_chatbot_writes_is_not_lost(tmp_path: Path) -> None:
    folder, written = tmp_path / "study", threading.Event()
    codes = made(folder, "collect")
    with visiting(folder, lambda _: Model(written)) as client:
        one = Visitor(client).enter(codes["p01"]).begin()
        other = Visitor(client).get()
        one.send(message="Why do cats purr?")
        for _ in range(2):
            other.send(message="And dogs?")
            assert other.status == 422
            assert ">And dogs?</textarea>" in other.text
            assert "data-waiting" not in other.text  # the page does not reload by itself either
        written.set()
        one.until("Purring calms them.")
        other.send(message="And dogs?")
        other.send(message="And dogs?").until("And dogs?</p>")
