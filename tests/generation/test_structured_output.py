"""Drafts: lengths are requested in words, and no text that was cut off by a bound is accepted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convogen import Experiment, Run, run
from convogen.errors import ModelFault, TooManyFailures
from convogen.generation.structured_output import (
    StructuredReply,
    UnusableReply,
    ask_draft,
    first_name,
    read_draft,
    schema_of,
)
from convogen.models.backends.dialect import Dialect
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Message, ModelReply, Request, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.models.traffic.session import SessionReply
from convogen.records import Usage
from convogen.text.lengths import Words, bounded_texts

LONG = "and so it went on for a good while until nobody in the room remembered " * 40
Replies = Callable[[Request], str]


class Line(StructuredReply):
    speaker: str = Words(4).field()
    text: str = Words(6).field("what is said")


class Scene(StructuredReply):
    place: str = Words(5).field("where it is")
    lines: list[Line]


def scene(place: str = "a kitchen", *texts: str) -> str:
    lines = [{"speaker": "Ada", "text": text} for text in texts or ("Well, hello.",)]
    return json.dumps({"place": place, "lines": lines})


def answer(text: str, finish_reason: str = "stop") -> SessionReply:
    reply = ModelReply(text, Usage(), finish_reason)
    return SessionReply(
        text, usage=Usage(), finish_reason=finish_reason, request="h", model="m", reply=reply
    )


def filled(request: Request) -> str:
    """Return a reply that fills every text up to its bound, as under constrained decoding."""
    assert request.schema is not None
    data: Any = json.loads(improvise(request))
    for nth, text in enumerate(list(bounded_texts(data, request.schema))):
        if text.max_chars:
            cut = f"{chr(97 + nth % 26)}{LONG}"[: text.max_chars]
            *parents, last = text.path
            holder = data
            for key in parents:
                holder = holder[key]
            holder[last] = cut if cut[-1].isalpha() else f"{cut[:-1]}x"
    return json.dumps(data)


def at_first(script: Replies) -> Replies:
    """Answer each structured request with `script` once, and with valid replies from then on."""
    seen: set[str] = set()

    def reply(request: Request) -> str:
        if request.schema is None:
            return improvise(request)
        first = request.messages[0].content + request.messages[1].content
        if first in seen:
            return obliging(request)
        seen.add(first)
        return script(request)

    return reply


def always(script: Replies) -> Replies:
    return lambda request: improvise(request) if request.schema is None else script(request)


def obliging(request: Request) -> str:
    """Return the scripted model, in whose dialogues everybody speaks."""
    data = json.loads(improvise(request))
    schema = json.dumps(request.schema)
    names = re.search(r'"enum": (\[[^\]]*\])', schema)
    for nth, turn in enumerate(data.get("turns", ())):
        allowed = json.loads(names[1]) if names else []
        turn["speaker"] = allowed[nth % len(allowed)]
    return json.dumps(data)


def texts(folder: Path) -> list[str]:
    """Return all texts of a data set, in all records and keys."""

    def walk(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for item in value.values() for text in walk(item)]
        if isinstance(value, list):
            return [text for item in value for text in walk(item)]
        return [value] if isinstance(value, str) else []

    names = ("experiences.jsonl", "conversations.jsonl")
    rows = [row for name in names for row in (folder / name).read_text("utf-8").splitlines()]
    return [text for row in rows for text in walk(json.loads(row))]


def people(tmp_path: Path) -> Path:
    rows = [{"persona": f"I like the number {n} and I live at number {n}."} for n in range(12)]
    path = tmp_path / "people.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def settings(form: str, tmp_path: Path) -> dict[str, Any]:
    """Return three small experiments, each of which requests different structured texts."""
    common = {"name": form, "models": "scripted", "seed": 3}
    if form == "invent":
        return {**common, "method": "convogen", "n": 3, "participants": 2, "max_turns": 2}
    if form == "match":
        sampled = {"personas": "sampled", "persona_source": str(people(tmp_path))}
        return {
            **common,
            "method": "convogen",
            "n": 3,
            "participants": 2,
            "max_turns": 2,
            **sampled,
        }
    (tmp_path / "topics.txt").write_text("Tea\n", "utf-8")
    sizes = {"n_subtopics": 2, "n_personas": 2, "turns": [2, 4]}
    topics = str(tmp_path / "topics.txt")
    return {**common, "method": "diasynth", "topics": topics, "near_copy": 1.0, **sizes}


def played(form: str, tmp_path: Path, script: Replies, **more: Any) -> Run:
    experiment = Experiment({**settings(form, tmp_path), **more})
    return run(experiment, tmp_path / "run", open_model=lambda _: ScriptedModel(script))


# The content of a draft


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (scene("x" * 90), "place: it was cut off at 90 characters; say it in at most 5 words"),
        (scene("x" * 89), "place: it was cut off at 89 characters; say it in at most 5 words"),
        (scene("a kitchen", "Fine.", "x" * 100), "lines.1.text: it was cut off at 100 characters"),
    ],
)
def test_a_text_that_stops_at_its_bound_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UnusableReply, match=re.escape(complaint)) as refused:
        read_draft(answer(text), Scene)
    assert refused.value.kind == "cut_off"


@pytest.mark.parametrize(
    "text",
    [scene("a kitchen", "no full stop"), scene(f"{'x' * 89}."), scene("x" * 88), scene("x" * 300)],
)
def test_a_missing_full_stop_alone_is_no_fault(text: str) -> None:
    assert read_draft(answer(text), Scene).place


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"place": "a kit', "it was cut off before its end"),
        (scene("a kitchen", "And then")[:-2], "it was cut off before its end"),
        (scene("a kitchen", "And then we"), "lines.0.text: it was cut off at 11 characters"),
    ],
)
def test_a_reply_that_ended_for_its_length_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UnusableReply, match=complaint) as refused:
        read_draft(answer(text, "length"), Scene)
    assert refused.value.kind == "cut_off"
    assert read_draft(answer(scene(), "length"), Scene).lines[0].text == "Well, hello."


def test_a_schema_is_closed_complete_and_without_defaults() -> None:
    class Open(StructuredReply):
        known: bool = False

    assert schema_of(Open)["required"] == ["known"]
    assert "default" not in schema_of(Open)["properties"]["known"]
    assert read_draft(answer("{}"), Open).known is False


def test_a_title_is_no_first_name() -> None:
    assert [first_name(name) for name in ("Dr. Ana Lee", "ANA", "Mrs")] == ["ana", "ana", "mrs"]


# Retries


def asked_for(
    tmp_path: Path, replies: list[ModelReply], reasks: int = 2
) -> tuple[Any, list[Request]]:
    """Return the result for a scene when the model gives `replies`, and the requests."""
    asked: list[Request] = []

    class Model(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            asked.append(request)
            return replies[len(asked) - 1]

    async def go() -> Any:
        roles = {"writer": Role(ModelSpec(name="scripted"), Sampling())}
        traffic = Traffic(roles, 1, RunProgress(), lambda _: Model())
        try:
            session = traffic.session(0, 1, Journal(tmp_path / "0.jsonl"))
            question = [Message("user", "A scene, please.")]
            return await ask_draft(
                session,
                "writer",
                question,
                model=Scene,
                parse=lambda draft, _: draft,
                reasks=reasks,
                kind="scene_invalid",
            )
        finally:
            await traffic.close()

    return asyncio.run(go()), asked


def test_the_faults_of_earlier_replies_are_returned(tmp_path: Path) -> None:
    replies = [
        ModelReply("Certainly!", Usage(), "stop"),
        ModelReply(scene("x" * 90), Usage(), "stop"),
        ModelReply(scene(), Usage(), "stop"),
    ]
    (draft, reasks), asked = asked_for(tmp_path, replies)
    assert (draft.place, reasks) == ("a kitchen", ["invalid", "cut_off"])
    assert [message.role for message in asked[2].messages] == ["user", "assistant", "user"]
    assert asked[2].messages[1].content == scene("x" * 90)
    assert "say it in at most 5 words" in asked[2].messages[2].content


def test_an_empty_reply_is_not_shown(tmp_path: Path) -> None:
    replies = [ModelReply(text, Usage(), "stop") for text in ("", " \n", scene())]
    (_, reasks), asked = asked_for(tmp_path, replies)
    assert reasks == ["invalid", "invalid"]
    assert all(message.content.strip() for request in asked for message in request.messages)


def test_what_no_reply_gives_is_a_fault_that_says_why(tmp_path: Path) -> None:
    replies = [ModelReply(scene("x" * 90), Usage(), "stop")] * 2
    with pytest.raises(ModelFault, match="cut off at 90 characters") as fault:
        asked_for(tmp_path, replies, reasks=1)
    assert (fault.value.kind, fault.value.evidence) == ("scene_invalid", scene("x" * 90))


# Lengths in the prompt


@pytest.mark.parametrize("form", ["invent", "match", "diasynth", "diasynth-groupchat"])
@pytest.mark.parametrize("mode", ["portable", "object", "text"])
def test_an_endpoint_that_refuses_bounds_is_told_the_lengths_by_the_prompt(
    tmp_path: Path, form: str, mode: str
) -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return improvise(request) if request.schema is None else obliging(request)

    more = {"mode": "groupchat"} if form == "diasynth-groupchat" else {}
    played(form.split("-")[0], tmp_path, script, max_failures=20, **more)
    dialect = Dialect()
    dialect.json_mode = mode  # type: ignore[assignment]
    structured = [request for request in asked if request.schema is not None]
    assert structured
    for request in structured:
        assert "maxLength" not in json.dumps(dialect.body(request))
        prompt = request.messages[-1].content
        data = json.loads(improvise(request))
        for text in bounded_texts(data, request.schema or {}):
            if text.path[-1] != "speaker":  # one of the names
                assert text.max_chars is not None
                most = Words.within(text.max_chars).most
                assert f" {most} words" in prompt, (text.path, most)


# Whole runs


@pytest.mark.parametrize("form", ["invent", "match", "diasynth"])
def test_what_is_cut_once_leaves_no_cut_text_in_the_data_set(tmp_path: Path, form: str) -> None:
    made = played(form, tmp_path, at_first(filled), max_failures=20)
    assert list(made.conversations())
    whole = [text for text in texts(made.folder) if LONG[:40] in text]
    assert whole == []
    experiences = list(made.experiences())
    if form != "diasynth":
        assert any(one.reasks == ["cut_off"] for one in experiences)
    else:
        steps = [step for one in experiences for step in one.plan or ()]
        assert any(step["unusable"] >= 2 and step["requests"] == 2 for step in steps)


@pytest.mark.parametrize(
    ("form", "stage", "said"),
    [
        ("invent", "experience", r"personas\.0\.\w+: it was cut off at \d+ characters; say it in"),
        ("match", "experience", r"relations: it was cut off at \d+ characters; say it in at most"),
        ("diasynth", "plan", r"no usable subtopics \(replies: 4, .* unusable: 8, truncated: 8\)"),
    ],
)
def test_what_is_always_cut_is_a_failure_that_says_why(
    tmp_path: Path, form: str, stage: str, said: str
) -> None:
    with contextlib.suppress(TooManyFailures):
        played(form, tmp_path, always(filled), max_failures=1)
    failures = list(Run(tmp_path / "run").failures())
    assert len(failures) == 2
    for failure in failures:
        assert failure.stage == stage
        assert re.search(said, failure.message), failure.message
    assert texts(tmp_path / "run") == []


def test_a_dialogue_that_is_always_cut_is_a_failure(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        turns = request.schema is not None and "turns" in request.schema["properties"]
        return filled(request) if turns else obliging(request)

    made = played("diasynth", tmp_path, script, max_failures=20)
    assert list(made.failures())
    for failure in made.failures():
        assert (failure.stage, failure.kind) == ("dialogue", "dialogue_invalid")
        assert "it was cut off at" in failure.message
    assert not [text for text in texts(tmp_path / "run") if LONG[:40] in text]


def test_an_entry_that_is_cut_is_left_out_and_the_rest_of_its_list_is_kept(tmp_path: Path) -> None:
    replies = iter([["The price of tea", f"b{LONG}"[:170]], ["Who makes the tea"]])

    def script(request: Request) -> str:
        assert request.schema is not None
        if "subtopics" in request.schema["properties"]:
            return json.dumps({"subtopics": next(replies)})
        return obliging(request)

    made = played("diasynth", tmp_path, script, max_failures=20)
    [step] = [s for one in made.experiences() for s in one.plan or () if "subtopics" in s]
    assert step["subtopics"] == ["The price of tea", "Who makes the tea"]
    assert (step["requests"], step["unusable"]) == (2, 1)


def taken(folder: Path, texts: list[str], finish_reason: str, reasks: int = 3) -> tuple[Any, int]:
    """Return the result of `ask_draft` for some replies, and the number of calls."""
    asked: list[Request] = []

    def script(request: Request) -> ModelReply:
        asked.append(request)
        return ModelReply(texts[len(asked) - 1], Usage(), finish_reason)

    async def asking() -> Any:
        role = Role(ModelSpec(name="scripted"), Sampling())
        traffic = Traffic({"generator": role}, 1, RunProgress(), lambda _: ScriptedModel(script))
        try:
            session = traffic.session(0, 1, Journal(folder / "0.jsonl"))
            messages = [Message("user", "A scene, please.")]
            return await ask_draft(
                session,
                "generator",
                messages,
                model=Scene,
                parse=lambda draft, _: draft,
                reasks=reasks,
                kind="invalid",
            )
        except ModelFault as fault:
            return fault
        finally:
            await traffic.close()

    return asyncio.run(asking()), len(asked)


BLANK = '{"place": "a kitchen",' + "\n" * 4000


def test_a_model_that_loops_over_white_space_is_asked_twice_and_no_more(tmp_path: Path) -> None:
    fault, calls = taken(tmp_path, [BLANK] * 4, "length")
    assert isinstance(fault, ModelFault)
    assert (fault.kind, calls) == ("blank_loop", 2)
    assert "json_mode" in str(fault)
    assert len(fault.evidence) < 100


def test_one_loop_over_white_space_is_made_up_for(tmp_path: Path) -> None:
    (draft, kinds), calls = taken(tmp_path, [BLANK, scene()], "length")
    assert (draft.place, kinds, calls) == ("a kitchen", ["blank_loop"], 2)


@pytest.mark.parametrize("finish_reason", ["length", "OTHER"])
def test_what_is_not_closed_when_a_reply_ended_for_its_length_was_cut_off(
    tmp_path: Path, finish_reason: str
) -> None:
    inner = '{"draft": ' + scene() + ', "more": "and'
    fault, calls = taken(tmp_path, [inner] * 2, finish_reason, reasks=1)
    assert (str(fault).split(";")[0], calls) == ("it was cut off before its end", 2)


def test_a_draft_in_a_wrapping_key_with_trailing_commas_is_read_at_once(tmp_path: Path) -> None:
    said = '{"scene": ' + scene().replace("}", ",}") + "}"
    (draft, kinds), calls = taken(tmp_path, [said], "stop")
    assert (draft.lines[0].speaker, kinds, calls) == ("Ada", [], 1)
