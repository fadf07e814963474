"""DiaSynth: the reasoning and the decisions before a dialogue, and the content of examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from diasynth_runs import Counting, dialogue, played, sensible, small, speakers, step
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment, run
from convogen.errors import SourceError
from convogen.methods.diasynth.examples import open_examples, shipped_examples
from convogen.methods.diasynth.settling import CHARACTERISTICS, FEELINGS, feelings_of
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request

TALK = [(0, "Is that my queen?"), (1, "It was."), (0, "Oh well, another game then?")]


def the_dialogue(model: Counting) -> Request:
    (asked,) = (one for one in model.asked if one.schema and step(one) == "turns")
    return asked


def one_asked(tmp_path: Path, **keys: Any) -> tuple[Request, Any]:
    model = Counting(
        lambda request: dialogue(request, TALK) if step(request) == "turns" else sensible(request)
    )
    made = run(small(tmp_path, n=1, **keys), tmp_path / "run", open_model=lambda _: model)
    return the_dialogue(model), next(made.conversations())


# Reasoning


def test_free_reasoning_of_80_to_150_words_comes_before_what_is_settled(tmp_path: Path) -> None:
    asked, _ = one_asked(tmp_path)
    assert asked.schema is not None
    assert list(asked.schema["properties"]) == ["reasoning", "characteristics", "turns"]
    reasoning = asked.schema["properties"]["reasoning"]
    assert reasoning["maxLength"] > 150 * 6.5 * 2, "requested words must not be cut off"
    text = asked.messages[-1].content
    assert '`"reasoning"`: think first, in 80 to 150 words' in text
    assert text.index('`"reasoning"`') < text.index('`"characteristics"`') < text.index('`"turns"`')
    assert all(f'`"{name}"`' in text for name in CHARACTERISTICS)


def test_without_reasoning_nothing_is_settled(tmp_path: Path) -> None:
    asked, one = one_asked(tmp_path, reasoning=False)
    assert asked.schema is not None
    assert list(asked.schema["properties"]) == ["turns"]
    assert "reasoning" not in asked.messages[-1].content
    assert not {"reasoning", "characteristics"} & one.context.keys()


def test_a_reply_without_its_reasoning_is_asked_for_again(tmp_path: Path) -> None:
    replies = 0

    def answers(request: Request) -> str:
        nonlocal replies
        if step(request) != "turns":
            return sensible(request)
        replies += 1
        reply = json.loads(dialogue(request, TALK))
        if replies == 1:
            del reply["reasoning"]
        return json.dumps(reply)

    (one,) = played(small(tmp_path, n=1), tmp_path / "run", answers).conversations()
    assert replies == 2
    assert one.context["reasoning"]


def test_feelings_that_come_as_one_text_are_told_apart(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        if step(request) != "turns":
            return sensible(request)
        reply = json.loads(dialogue(request, TALK))
        first, second = speakers(request)
        reply["characteristics"][FEELINGS] = f"{second} is cross; {first} is glad"
        return json.dumps(reply)

    (one,) = played(small(tmp_path, n=1), tmp_path / "run", answers).conversations()
    first, second = one.participants
    told = one.context["characteristics"][FEELINGS]
    assert told == f"{first}: {first} is glad; {second}: {second} is cross"


def test_feelings_are_known_by_a_part_of_the_name(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        if step(request) == "personas":
            people = [
                {"name": name, "about": f"Somebody who {verb} all day."}
                for name, verb in {
                    "Dr. Lea Chen": "bakes",
                    "Ben Wills": "flies",
                    "Mo": "reads",
                }.items()
            ]
            return json.dumps({"personas": people})
        reply = json.loads(sensible(request))
        if step(request) == "turns":
            reply["characteristics"][FEELINGS] = {"Lea": "cross", "Mr. Wills": "glad"}
        return json.dumps(reply)

    keys = {"near_copy": 1.0, "n": 1, "subtopics": False}
    (one,) = played(small(tmp_path, **keys), tmp_path / "run", answers).conversations()
    told = one.context["characteristics"][FEELINGS]
    assert told == "Dr. Lea Chen: cross; Ben Wills: glad"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("Dr. Lea Chen is cross; Ben is glad", ("Dr. Lea Chen is cross", "Ben is glad")),
        ("Lea is cross. Ben Wills is glad.", ("Lea is cross.", "Ben Wills is glad.")),
        ("cross; glad", ("cross", "glad")),
        ("Dr. Lea Chen: cross; Ben Wills: glad", ("cross", "glad")),
        ("both are cross", ("", "")),
        ("she is cross. she is late. he is glad.", ("", "")),
    ],
)
def test_one_text_of_feelings_is_divided_or_nobodys(told: str, found: tuple[str, str]) -> None:
    assert tuple(feelings_of(told, ["Dr. Lea Chen", "Ben Wills"]).values()) == found


@given(told=st.text(max_size=60), names=st.lists(st.text(min_size=1, max_size=8), unique=True))
def test_whatever_is_said_of_feelings_everybody_has_some_or_none(
    told: str, names: list[str]
) -> None:
    found = feelings_of(told, names)
    assert [*found] == names
    assert all(how in told or ";" in how for how in found.values())


# Group chats


MOODS = ("is furious about the bishop", "is secretly delighted")


def group_chat(tmp_path: Path) -> tuple[list[Request], Any]:
    asked: list[Request] = []

    def answers(request: Request) -> str:
        asked.append(request)
        reply = sensible(request)
        if request.schema is None or step(request) != "starter":
            return reply
        data = json.loads(reply)
        names = speakers(request)
        told: dict[str, Any] = {name: f"the {name}" for name in CHARACTERISTICS}
        told[FEELINGS] = dict(zip(names, MOODS, strict=True))
        data |= {"characteristics": told, "n_turns": 5}
        data["starter"] |= {"speaker": names[0]}
        return json.dumps(data)

    experiment = small(tmp_path, mode="groupchat", turns=[3, 8], n=1)
    made = run(experiment, tmp_path / "run", open_model=lambda _: ScriptedModel(answers))
    return asked, next(made.conversations())


def test_each_agent_knows_its_own_feelings_alone(tmp_path: Path) -> None:
    asked, one = group_chat(tmp_path)
    agents = [request for request in asked if request.role == "agent"]
    seen = set[str]()
    for request in agents:
        text = "\n".join(message.content for message in request.messages)
        known = [mood for mood in MOODS if mood in text]
        (name,) = re.findall(r"\AYou are (.+?), a person talking", text)
        assert known == [MOODS[one.participants.index(name)]]
        seen.add(name)
    assert seen == {*one.participants}
    selecting = [request for request in asked if request.role == "selector"]
    assert not any(
        mood in message.content for r in selecting for message in r.messages for mood in MOODS
    )


def test_the_topic_is_named_once_and_the_duration_is_a_number_of_turns(tmp_path: Path) -> None:
    asked, one = group_chat(tmp_path)
    assert len(one.turns) == 5
    opening = next(r.messages[1].content for r in asked if r.role == "agent")
    lines = [line for line in opening.splitlines() if line.casefold().startswith("topic")]
    assert lines == ["Topic: the topic"]
    assert "uration" not in opening
    assert one.context["subtopic"] not in opening
    writer = next(r for r in asked if r.role == "writer")
    assert writer.schema is not None
    n_turns = writer.schema["properties"]["n_turns"]
    assert (n_turns["minimum"], n_turns["maximum"]) == (3, 8)
    assert "how many turns the conversation has, 3 to 8" in writer.messages[-1].content


@pytest.mark.parametrize(("asked_for", "turns"), [(99, 4), (-1, 3)])
def test_a_number_of_turns_out_of_bounds_is_the_nearest(
    tmp_path: Path, asked_for: int, turns: int
) -> None:
    def answers(request: Request) -> str:
        reply = sensible(request)
        if request.schema is None or step(request) != "starter":
            return reply
        return json.dumps(json.loads(reply) | {"n_turns": asked_for})

    made = played(small(tmp_path, mode="groupchat", turns=[3, 4], n=1), tmp_path / "run", answers)
    assert len(next(made.conversations()).turns) == turns


# Speakers as roles


def test_people_speak_as_person_1_and_2_where_asked(tmp_path: Path) -> None:
    asked, one = one_asked(tmp_path, speakers="roles", shots=4, examples="dialogsum")
    assert one.participants == ["#Person1#", "#Person2#"]
    assert [turn.speaker for turn in one.turns] == ["#Person1#", "#Person2#", "#Person1#"]
    text = asked.messages[-1].content
    assert text.count("Example. The people:\n- #Person1#: ") == 4
    assert text.count('"speaker": "#Person1#"') > 8
    assert '"speaker": "Rosa"' not in text
    assert re.search(r"Now the people:\n- #Person1#: \w+\. ", text), (
        "the prompt must still describe the people"
    )


def test_roles_understood_however_they_are_written(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        reply = sensible(request)
        if step(request) != "turns":
            return reply
        return reply.replace('"speaker": "#Person1#"', '"speaker": "Person1"')

    made = played(small(tmp_path, n=2, speakers="roles"), tmp_path / "run", answers)
    assert {t.speaker for one in made.conversations() for t in one.turns} == {
        "#Person1#",
        "#Person2#",
    }


def test_a_group_chat_is_held_under_names_and_kept_under_roles(tmp_path: Path) -> None:
    asked: list[Request] = []

    def answers(request: Request) -> str:
        asked.append(request)
        return sensible(request)

    experiment = small(tmp_path, n=2, mode="groupchat", speakers="roles")
    made = played(experiment, tmp_path / "run", answers)
    assert not any("#Person" in m.content for request in asked for m in request.messages)
    for one in made.conversations():
        assert one.participants == ["#Person1#", "#Person2#"]
        assert {turn.speaker for turn in one.turns} == {*one.participants}
    for experience in made.experiences():
        assert experience.starter.speaker in ("#Person1#", "#Person2#")
        assert all(f"{one.text}".partition(".")[0] for one in experience.personas)


# Examples


def test_the_papers_experiments_have_four_shots_of_their_own_format() -> None:
    for name, who in (("diasynth-dialogsum", "roles"), ("diasynth-samsum", "names")):
        method: Any = Experiment.load(name).method
        found = (method.shots, method.speakers, method.similarity, method.near_copy)
        assert found == (4, who, "rouge_l", 0.5)


def test_twelve_examples_are_shipped_that_settle_everything_and_do_not_all_agree() -> None:
    found = [one for name in shipped_examples() for one in open_examples(name)]
    assert len(found) == 12
    for one in found:
        assert one.reasoning is not None
        assert 80 <= len(one.reasoning.split()) <= 150
        assert list(one.characteristics) == list(CHARACTERISTICS)
        assert one.characteristics[FEELINGS].keys() == one.people.keys()
    ends = [str(one.characteristics["agreement"]) for one in found]
    assert (
        sum(bool(re.search("to the end|leave it|refuses|do not agree", end)) for end in ends) >= 5
    )


def test_what_an_example_of_ones_own_settles_is_shown(tmp_path: Path) -> None:
    told: dict[str, Any] = {name: f"own {name}" for name in CHARACTERISTICS}
    told[FEELINGS] = "A is cross; B is calm"
    own = [
        {
            "topic": "Trains",
            "people": {"A": None, "B": None},
            "reasoning": "Both wait, so both are short.",
            "characteristics": told,
            "turns": [["A", "Late again."], ["B", "Is it?"]],
        }
    ]
    (tmp_path / "own.yaml").write_text(json.dumps(own), "utf-8")
    asked, _ = one_asked(tmp_path, examples=str(tmp_path / "own.yaml"))
    (shown,) = re.findall(r"They talk about: Trains\nThe answer:\n(.+)", asked.messages[-1].content)
    answer = json.loads(shown)
    assert list(answer) == ["reasoning", "characteristics", "turns"]
    assert answer["characteristics"]["medium"] == "own medium"
    assert answer["characteristics"][FEELINGS] == {"A": "A is cross", "B": "B is calm"}


def test_conversations_show_what_was_settled_where_they_have_it(tmp_path: Path) -> None:
    """Conversations from a run of this method show them. For others, the prompt states that they
    are unknown."""
    made = played(small(tmp_path), tmp_path / "made")
    asked, _ = one_asked(tmp_path, examples=str(made.folder / "conversations.jsonl"))
    text = asked.messages[-1].content
    contexts = [one.context for one in made.conversations()]
    assert sum(json.dumps(one["reasoning"]) in text for one in contexts) == 4
    assert "of which only this is known" not in text
    plain = tmp_path / "plain.jsonl"
    plain.write_text(json.dumps({"id": "1", "dialogue": "Ann: who?\nBob: the cat"}) + "\n", "utf-8")
    (tmp_path / "other").mkdir()
    asked, _ = one_asked(tmp_path / "other", examples=str(plain))
    assert "The answer, of which only this is known (yours has all keys):" in (
        asked.messages[-1].content
    )


def test_a_characteristic_that_is_no_text_is_refused(tmp_path: Path) -> None:
    told: dict[str, Any] = {name: name for name in CHARACTERISTICS} | {"medium": {"A": "phone"}}
    own = [
        {
            "topic": "x",
            "people": {"A": None, "B": None},
            "characteristics": told,
            "turns": [["A", "hi"], ["B", "ho"]],
        }
    ]
    (tmp_path / "own.yaml").write_text(json.dumps(own), "utf-8")
    with pytest.raises(SourceError, match=r"1\.characteristics\.medium: must be a single string"):
        small(tmp_path, examples=str(tmp_path / "own.yaml")).fingerprint  # noqa: B018


# Near-copies by ROUGE-L


def test_near_copies_by_rouge_l_are_those_of_the_authors(tmp_path: Path) -> None:
    names = ["Chess openings", "openings in chess", "The best chess openings", "Clocks and nerves"]

    def answers(request: Request) -> str:
        if step(request) == "subtopics":
            return json.dumps({"subtopics": names})
        return sensible(request)

    experiment = small(tmp_path, n=1, n_subtopics=3, similarity="rouge_l", tries=1)
    method: Any = experiment.method
    assert method.near_copy == 0.5
    assert small(tmp_path, similarity="rouge_l", near_copy=0.7).method.near_copy == 0.7  # type: ignore[attr-defined]
    (step_,) = (
        one
        for e in played(experiment, tmp_path / "run", answers).experiences()
        for one in e.plan or ()
        if one.get("subtopics")
    )
    assert step_["subtopics"] == ["Chess openings", "openings in chess", "Clocks and nerves"]
