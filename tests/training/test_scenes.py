"""Training data for the agents of a group chat: scenes from each person's point of view."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from convogen import Experiment, load_run, run
from convogen.errors import SourceError
from convogen.experiment.experiment import Experiment as Loaded
from convogen.generation.example_experiences import check_experience
from convogen.models.base import Message
from convogen.text.turn_checks import Scene, read_utterance
from convogen.training.lessons import Lessons
from convogen.training.scenes import SceneForm, read_scenes, scene_lessons

EMBEDDED = Path(__file__).parents[2] / "convogen/training/embedded/agent.md"
SCENE = {
    "personas": ["Margit Szalai", {"name": "Otto", "text": "I repair clocks."}],
    "relations": "Otto rents the room above Margit's.",
    "situation": "They meet at the letter boxes; a parcel lies open on the floor.",
    "topic": "an opened parcel",
    "acquainted": True,
    "turns": [
        ["Otto", "Somebody cut this open with a knife."],
        ["Margit Szalai", "Allegedly a knife. I'd say scissors, at nine this morning."],
        ["Otto", "You were here at nine?"],
        ["Margit Szalai", "I read the post when I have none of my own."],
        ["Otto", "Then you know who did it."],
    ],
}
TURNS: list[list[str]] = SCENE["turns"]  # type: ignore[assignment]
PERSONACHAT = {
    "id": "pc-1",
    "context": {"personas": {"A": ["I bake.", "I have a dog."], "B": ["I sing."]}},
    "turns": [
        {"speaker": "A", "text": "Hi there!"},
        {"speaker": "B", "text": "Did you bake that yourself, or did you buy it?"},
        {"speaker": "A", "text": "I baked it at five this morning."},
        {"speaker": "B", "text": "My choir would eat it in a minute."},
        {"speaker": "A", "text": "Bring them round on Sunday, then."},
        {"speaker": "B", "text": "Bye, see you!"},
        {"speaker": "A", "text": "Goodbye!"},
    ],
}


def written(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def lessons(source: str, agent: Path | None = EMBEDDED) -> Lessons:
    return scene_lessons(read_scenes(source, None), source, SceneForm(agent))


def test_a_scene_is_learned_from_the_side_of_each_who_answers(tmp_path: Path) -> None:
    found = lessons(written(tmp_path / "two.scenes.jsonl", SCENE))
    (lesson,) = found.lessons
    margit, otto = lesson.chats
    assert margit[0].content.startswith("You are Margit Szalai. age: 59;")
    assert "allegedly" in margit[0].content.casefold()
    assert "Watched her mother burn a diary" in margit[0].content
    assert "You are talking with Otto." in margit[0].content
    assert margit[1:] == (
        Message(
            "user",
            "Situation: They meet at the letter boxes; a parcel lies open on the floor.\n"
            "Relations: Otto rents the room above Margit's.\nTopic: an opened parcel\n\n"
            "Otto: Somebody cut this open with a knife.",
        ),
        Message("assistant", SCENE["turns"][1][1]),
        Message("user", "Otto: You were here at nine?"),
        Message("assistant", SCENE["turns"][3][1]),
    )
    assert "diary" not in "".join(message.content for message in otto)
    assert otto[-1] == Message("assistant", "Then you know who did it.")


def test_a_run_is_learned_in_the_words_its_agents_were_asked_in(tmp_path: Path) -> None:
    asked = {"n": 2, "models": "scripted", "participants": 3}
    run(Experiment.load("GPIS-s", overrides=asked), tmp_path / "run")
    found = lessons(str(tmp_path / "run"), agent=None)
    assert len(found.lessons) == 2
    prompts = Loaded.load("GPIS-s", asked).prompts
    assert found.prompts == {step: prompts[step].hash for step in ("agent", "opening")}
    conversation = next(load_run(tmp_path / "run").conversations())
    chat = found.lessons[0].chats[0]
    name = chat[0].content.split(",")[0].removeprefix("You are ")
    said = [turn.text for turn in conversation.turns[1:] if turn.speaker == name]
    learned = [one.content for one in chat if one.role == "assistant"]
    assert learned[-len(said) :] == said
    assert chat[0].content.endswith("don't repeat yourself or anyone else.")


@pytest.mark.parametrize(("name", "conversations"), [("people", 590), ("held-out", 50)])
def test_the_scenes_that_are_shipped_are_sound(name: str, conversations: int) -> None:
    scenes = list(read_scenes(str(EMBEDDED.with_name(f"{name}.scenes.jsonl")), None))
    assert len(scenes) == conversations
    lengths = [len(turn.text.split()) for scene in scenes for turn in scene.turns]
    assert 12 < sum(lengths) / len(lengths) < 15
    assert max(lengths) <= 24
    for scene in scenes:
        speakers = [turn.speaker for turn in scene.turns]
        assert check_experience(scene.experience) is None
        assert {persona.name for persona in scene.experience.personas} == set(speakers)
        assert all(one != other for one, other in pairwise(speakers))
        said = Scene("", (), (), frozenset())
        assert not [t.text for t in scene.turns if read_utterance(t.text, said).fault]


def test_a_corpus_with_personas_gets_names_and_a_meeting(tmp_path: Path) -> None:
    source = written(tmp_path / "pc.jsonl", PERSONACHAT)
    (lesson,) = lessons(source).lessons
    text = "\n".join(message.content for chat in lesson.chats for message in chat)
    assert "I bake. I have a dog." in text
    assert "Hi there" not in text
    assert "see you" not in text
    assert "Situation: " in text
    assert lessons(source) == lessons(source)
    assert {one.role for one in lesson.chats[0][1:]} == {"user", "assistant"}


def test_personas_in_columns_of_their_own_are_read_too(tmp_path: Path) -> None:
    turns = [{"speaker": f"User {at % 2 + 1}", "text": f"Number {at} is mine."} for at in range(5)]
    row = {"id": "s", "context": {"user 1 personas": "I bake.\nI sing."}, "turns": turns}
    with pytest.raises(SourceError, match="contains no scenes"):
        lessons(written(tmp_path / "one.jsonl", row))
    row["context"] = {"user 1 personas": "I bake.\nI sing.", "user 2 personas": "I ski."}
    (lesson,) = lessons(written(tmp_path / "two.jsonl", row)).lessons
    systems = [chat[0].content for chat in lesson.chats]
    assert "I bake. I sing." in systems[0]
    assert "I ski." not in systems[0]
    assert "I ski." in systems[1]


def test_scenes_are_learned_as_the_generator_is_asked_for_them(tmp_path: Path) -> None:
    second = {**SCENE, "topic": "a knife", "personas": ["Irena Malec", SCENE["personas"][1]]}
    second["turns"] = [["Irena Malec" if who != "Otto" else who, said] for who, said in TURNS]
    source = written(tmp_path / "two.scenes.jsonl", SCENE, second)
    form = SceneForm(EMBEDDED, 14, EMBEDDED.with_name("encounter.md"))
    first, last = scene_lessons(read_scenes(source, None), source, form).lessons
    assert len(first.chats) == 2  # there is no previous scene to serve as the example
    system, asked, answer = last.chats[2]
    assert "JSON object" in system.content
    assert '"topic": "an opened parcel"' in asked.content
    assert "1. Irena Malec: age: 79;" in asked.content
    assert "2. Otto: I repair clocks." in asked.content
    told = json.loads(answer.content)
    assert told["topic"] == "a knife"
    assert told["starter"] == {"speaker": "Otto", "text": "Somebody cut this open with a knife."}
    assert list(told) == ["relations", "situation", "topic", "acquainted", "starter"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**SCENE, "personas": ["Nobody Known", "Otto"]}, "line 1: not a scene"),
        ({**SCENE, "turns": [["Otto"]]}, "line 1: not a scene"),
        ({key: SCENE[key] for key in ("personas", "turns")}, "line 1: not a scene"),
        ({**SCENE, "turns": SCENE["turns"][:3]}, "at least 4 turns"),
    ],
)
def test_what_is_no_scene_is_said(tmp_path: Path, row: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        lessons(written(tmp_path / "bad.scenes.jsonl", row))
