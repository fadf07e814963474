"""DiaSynth: the plan, its shared lists, and the reasoned dialogue, which no crash changes."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import downstream_data
import pytest
from checkpoints import encoder
from command_line import convogen
from diasynth_runs import (
    REASONED,
    Answers,
    Counting,
    dialogue,
    played,
    sensible,
    small,
    step,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, run
from convogen.engine.branch import replay_conversation
from convogen.engine.replay import replay_run
from convogen.errors import (
    ConvogenError,
    ExperimentError,
    ModelConfigError,
    SourceError,
)
from convogen.methods.diasynth.listing import WORDS
from convogen.methods.diasynth.plan import DialoguePlan
from convogen.methods.diasynth.settling import CHARACTERISTICS, FEELINGS
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.backends.sentence_encoder import sentence_similarity
from convogen.models.base import Request
from convogen.prompts import load_prompt
from convogen.records import Persona
from convogen.storage.run_folder import Run

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROWS = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")


def data_set(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ROWS]


def flawed(request: Request) -> str:
    """Reply with incomplete lists, and with no object in every fifth reply."""
    rng = random.Random(request.hash)
    if request.schema is None or rng.random() < 0.2:
        return "no object here"
    reply = json.loads(sensible(request))
    if step(request) in ("subtopics", "personas"):
        reply[step(request)] = reply[step(request)][:2]
    return json.dumps(reply)


# The plan


@pytest.mark.parametrize(
    ("n", "m", "p", "dialogues"), [(10, 5, 3, 150), (20, 4, 5, 800), (15, 6, 10, 4050)]
)
def test_the_examples_of_the_appendix(n: int, m: int, p: int, dialogues: int) -> None:
    assert len(DialoguePlan(n, m, p)) == dialogues


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 4), m=st.integers(1, 4), p=st.integers(2, 6), size=st.integers(2, 4))
def test_every_group_of_every_subtopic_is_one_task(n: int, m: int, p: int, size: int) -> None:
    plan = DialoguePlan(n, m, p, min(size, p))
    assert len(plan) == n * m * comb(p, min(size, p))
    places = [plan.place(task) for task in range(len(plan))]
    found = {(place.topic, place.subtopic, place.group) for place in places}
    groups = set(combinations(range(p), min(size, p)))
    assert found == {(t, s, g) for t in range(n) for s in range(m) for g in groups}
    assert len({(place.topic, place.subtopic) for place in places[: n * m]}) == n * m
    for topic in range(n):
        turns = [place.topic_turn for place in places if place.topic == topic]
        assert turns == list(range(len(turns)))


def test_the_shipped_experiments_are_the_papers() -> None:
    for name in ("diasynth-dialogsum", "diasynth-samsum"):
        experiment = Experiment.load(name)
        assert experiment.n == experiment.method.task_count() == 1440
        assert "16 topics × 6 subtopics × 15 pairs of 6 personas = 1440" in experiment.method.plan()


def test_the_plan_is_told_before_and_what_was_found_for_it_after(tmp_path: Path) -> None:
    (tmp_path / "topics.txt").write_text("Chess\nTea", "utf-8")
    out = tmp_path / "run"
    sizes = [f"topics={tmp_path / 'topics.txt'}", "n_subtopics=2", "n_personas=3"]
    words = ["run", "diasynth-samsum", "--model", "scripted", "--out", out]
    words += [word for size in sizes for word in ("--set", size)]
    dry = convogen(*words, "--dry-run", "--pilot", "2")
    told = "2 topics × 2 subtopics × 3 pairs of 3 personas = 12 dialogues"
    assert told in dry.err
    whole = convogen(*words, "--set", "max_failures=50")
    assert told in whole.err
    assert "4 subtopics and 12 personas found in" in " ".join(whole.out.split())
    sample = convogen("show", out, "--sample").out
    assert "characteristics: ages and genders:" in " ".join(sample.split())


def test_a_run_ends_with_the_plan_though_dialogues_failed(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        broken = random.Random(request.hash).random() < 0.5 and step(request) == "turns"
        return "no object here" if broken else sensible(request)

    made = played(small(tmp_path, n=500, reasks=0, max_failures=50), tmp_path / "run", answers)
    counts = len(list(made.conversations())), len(list(made.failures()))
    assert sum(counts) == 12
    assert min(counts) > 0
    assert made.manifest["complete"] is True
    assert made.manifest["n"] == 12
    before = data_set(made.folder)
    played(small(tmp_path, n=500, reasks=0, max_failures=50), tmp_path / "run", answers)
    assert data_set(made.folder) == before


# Data that tasks share


def test_lists_are_asked_for_once_and_shared(tmp_path: Path) -> None:
    model = Counting()
    made = run(small(tmp_path), tmp_path / "run", open_model=lambda _: model)
    assert Counter(step(request) for request in model.asked) == {
        "subtopics": 2,
        "personas": 4,
        "turns": 12,
    }
    met = Counter(
        (one.context["topic"], one.context["subtopic"], *one.participants)
        for one in made.conversations()
    )
    assert len(met) == 12
    assert {key[0] for key in met} == {"Chess", "Tea"}
    assert len({key[:2] for key in met}) == 4


@pytest.mark.parametrize("answers", [sensible, flawed])
def test_the_data_set_is_the_same_at_any_concurrency(tmp_path: Path, answers: Answers) -> None:
    for concurrency in (1, 32):
        experiment = small(tmp_path, concurrency=concurrency, max_failures=100)
        played(experiment, tmp_path / f"{concurrency}", answers)
    assert data_set(tmp_path / "1") == data_set(tmp_path / "32")


@pytest.mark.parametrize("answers", [sensible, flawed])
def test_stopped_anywhere_it_goes_on_and_pays_nothing_twice(
    tmp_path: Path, answers: Answers
) -> None:
    experiment = small(tmp_path, concurrency=4, max_failures=100)
    whole = Counting(answers)
    run(experiment, tmp_path / "whole", open_model=lambda _: whole)
    for stop in range(1, len(whole.asked), max(4, len(whole.asked) // 5)):
        folder = tmp_path / f"stopped-{stop}"
        first, second = Counting(answers, down_after=stop), Counting(answers)
        with pytest.raises(ConvogenError, match="down"):
            run(experiment, folder, open_model=lambda _, model=first: model)
        run(experiment, folder, open_model=lambda _, model=second: model)
        assert data_set(folder) == data_set(tmp_path / "whole")
        asked = Counter(r.hash for r in [*first.asked, *second.asked])
        assert asked == Counter(r.hash for r in whole.asked)


def test_where_the_first_task_fails_the_next_asks_in_its_place(tmp_path: Path) -> None:
    refused = 0

    def answers(request: Request) -> str:
        nonlocal refused
        if step(request) == "subtopics" and "topic: Chess" in request.messages[-1].content:
            refused += 1
            if refused <= 4:
                return "no object here"
        return sensible(request)

    made = played(small(tmp_path, concurrency=1), tmp_path / "run", answers)
    (failure,) = made.failures()
    assert (failure.task, failure.stage, failure.kind) == (0, "plan", "subtopics_missing")
    assert "unusable: 4" in failure.message
    experiences = {one.task: one for one in made.experiences()}
    assert experiences[2].plan is not None
    assert "subtopics" in experiences[2].plan[0]
    assert len(list(made.conversations())) == 11


def test_near_copies_go_are_counted_and_the_list_is_filled_up(tmp_path: Path) -> None:
    replies = iter(
        [
            ["Keeping bees", "keeping  BEES.", "..."],
            ["bees keeping", "Old trees"],
            ["The price of salt"],
        ]
    )

    def answers(request: Request) -> str:
        if step(request) == "subtopics":
            return json.dumps({"subtopics": next(replies)})
        return sensible(request)

    topics = tmp_path / "one.txt"
    topics.write_text("Gardens", "utf-8")
    experiment = small(tmp_path, topics=str(topics), n_subtopics=3, n=3)
    made = played(experiment, tmp_path / "run", answers)
    plan = next(made.experiences()).plan
    assert plan is not None
    assert plan[0]["subtopics"] == ["Keeping bees", "Old trees", "The price of salt"]
    assert tuple(plan[0][key] for key in ("requests", "near_copies", "unusable")) == (3, 2, 1)


def test_near_copies_may_be_found_by_a_sentence_encoder(tmp_path: Path) -> None:
    """The encoder's weights are random, so sentences with nearly the same tokens are similar."""
    pytest.importorskip("transformers", reason="the extra `train` is not installed")
    with pytest.raises(ModelConfigError, match="transformers cannot load it as an encoder"):
        sentence_similarity(str(tmp_path))
    place = encoder(tmp_path / "encoder")
    alike = sentence_similarity(str(place))
    keys, bread = "anna left her keys on the table", "ben bought bread in the kitchen shop"
    assert alike(keys, keys) == pytest.approx(100)
    assert 0 <= alike(keys, bread) < alike(keys, "ben left his keys on the table") < 100
    strict, lax = (
        small(tmp_path, similarity=f"embedding:{place}", near_copy=share) for share in (0.01, 1)
    )
    kinds = {one.kind for one in played(strict, tmp_path / "strict").failures()}
    assert kinds
    assert kinds <= {"subtopics_missing", "personas_missing"}
    assert len(list(played(lax, tmp_path / "lax").conversations())) == 12


def test_no_two_personas_of_a_subtopic_have_one_name(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        if step(request) != "personas":
            return sensible(request)
        verbs = {"Ada King": "bakes", "ada": "flies", "Bo": "reads", "Cem": "digs"}
        people = [{"name": n, "about": f"Somebody who {v} all day."} for n, v in verbs.items()]
        return json.dumps({"personas": people})

    made = played(small(tmp_path, near_copy=1.0), tmp_path / "run", answers)
    for one in made.conversations():
        assert len({name.split()[0].casefold() for name in one.participants}) == 2
    assert not list(made.failures())


def test_two_people_of_one_title_are_two(tmp_path: Path) -> None:
    asked = [0]

    def answers(request: Request) -> str:
        if step(request) != "personas":
            return sensible(request)
        asked[0] += 1
        verbs = {"Dr. Lea Chen": "bakes", "Dr. Okafor": "flies", "Mrs Sol": "reads"}
        people = [{"name": n, "about": f"Somebody who {v} all day."} for n, v in verbs.items()]
        return json.dumps({"personas": people})

    made = played(small(tmp_path, near_copy=1.0, n=1), tmp_path / "run", answers)
    plan = [step for one in made.experiences() for step in one.plan or ()]
    assert [one["name"] for step in plan for one in step.get("personas", ())] == [
        *("Dr. Lea Chen", "Dr. Okafor", "Mrs Sol"),
    ]


def test_a_subtopic_may_contain_the_topic(tmp_path: Path) -> None:
    def answers(request: Request) -> str:
        if step(request) == "subtopics":
            return json.dumps({"subtopics": ["Chess", "Chess clubs in schools", "Old trees"]})
        return sensible(request)

    experiment = small(tmp_path, n=1, similarity="token_set")
    plan = next(played(experiment, tmp_path / "run", answers).experiences()).plan
    assert plan is not None
    assert plan[0]["subtopics"] == ["Chess clubs in schools", "Old trees"]


def test_who_gave_what_cannot_be_used_is_shown_again_what_is_known(tmp_path: Path) -> None:
    replies = iter([["Old trees"], ["..."], ["The price of salt"]])
    shown: list[str] = []

    def answers(request: Request) -> str:
        if step(request) == "subtopics":
            shown.append(request.messages[-1].content)
            return json.dumps({"subtopics": next(replies)})
        return sensible(request)

    played(small(tmp_path, n=1), tmp_path / "run", answers)
    assert ["Old trees" in text for text in shown] == [False, True, True]


def test_a_line_of_topics_that_begins_with_blanks_and_a_mark_is_a_comment(tmp_path: Path) -> None:
    topics = tmp_path / "marked.txt"
    topics.write_text("  # not a topic\nChess\n", "utf-8")
    assert small(tmp_path, topics=str(topics)).method.topic_list == ["Chess"]


# The dialogue


def one_dialogue(tmp_path: Path, turns: list[tuple[int, str]], **keys: Any) -> Run:
    def answers(request: Request) -> str:
        return dialogue(request, turns) if step(request) == "turns" else sensible(request)

    return played(small(tmp_path, n=1, max_failures=0, **keys), tmp_path / "run", answers)


TALK = [(0, "Is that my queen?"), (1, "It was."), (0, "Oh well, another game then?")]


def test_a_dialogue_and_what_was_settled_before_it(tmp_path: Path) -> None:
    made = one_dialogue(tmp_path, TALK)
    (one,) = made.conversations()
    (experience,) = made.experiences()
    assert [turn.text for turn in one.turns] == [text for _, text in TALK]
    assert {turn.origin for turn in one.turns} == {"script"}
    assert one.ended == "complete"
    assert list(one.context["characteristics"]) == list(CHARACTERISTICS)
    assert len(CHARACTERISTICS) == 10
    assert one.context["topic"] == "Chess"
    assert experience.topic == one.context["subtopic"]
    assert one.context["reasoning"] == REASONED
    assert experience.relations == "the familiarity"
    feelings = (f"{name}: {name} is in mood {at}" for at, name in enumerate(one.participants))
    assert one.context["characteristics"][FEELINGS] == "; ".join(feelings)
    assert experience.starter.text == TALK[0][1]
    assert one.usage is not None
    assert one.usage.completion_tokens > 0


def test_who_speaks_is_understood_with_another_title_or_by_the_last_name(tmp_path: Path) -> None:
    called = {"Dr. Lea Chen": "Chen", "Ben Wills": "Dr. Wills", "Mrs Sol": "sol"}

    def answers(request: Request) -> str:
        if step(request) == "personas":
            people = [
                {"name": n, "about": f"Somebody like {c} all day."} for n, c in called.items()
            ]
            return json.dumps({"personas": people})
        reply = json.loads(sensible(request))
        for turn in reply.get("turns", []):
            turn["speaker"] = called[turn["speaker"]]
        return json.dumps(reply)

    made = played(small(tmp_path, near_copy=1.0, max_failures=0), tmp_path / "run", answers)
    assert {turn.speaker for one in made.conversations() for turn in one.turns} == {*called}


def test_it_is_cut_before_what_is_said_again_and_where_it_is_too_long(tmp_path: Path) -> None:
    again = [*TALK[:2], (0, "Is that my queen??"), (1, "And so on.")]
    (one,) = one_dialogue(tmp_path, again).conversations()
    assert (len(one.turns), one.ended) == (2, "repetition")
    long = [(nth % 2, f"Move {word}.") for nth, word in enumerate("a b c d e f".split())]
    (tmp_path / "long").mkdir()
    (one,) = one_dialogue(tmp_path / "long", long).conversations()
    assert (len(one.turns), one.ended) == (4, "max_turns")


@pytest.mark.parametrize(
    ("turns", "complaint"),
    [
        ([(0, "Hello?"), (0, "Is nobody there?")], "says nothing"),
        ([(0, "Hello?"), (-1, "Hello.")], "'Nobody' is nobody here"),
        ([(0, "Hello?"), (1, "As an AI language model, I cannot play chess.")], "being an AI"),
        ([(0, "Hello?"), (1, "  ")], "at least are needed"),
    ],
)
def test_what_is_no_dialogue_is_asked_for_again_then_a_failure(
    tmp_path: Path, turns: list[tuple[int, str]], complaint: str
) -> None:
    with pytest.raises(ConvogenError, match="max_failures"):
        one_dialogue(tmp_path, turns, reasks=1)
    (failure,) = Run(tmp_path / "run").failures()
    assert (failure.stage, failure.kind) == ("dialogue", "dialogue_invalid")
    assert complaint in failure.message
    assert failure.evidence
    assert len(list(Run(tmp_path / "run").experiences())) == 1


def test_an_example_is_not_taken_for_a_dialogue(tmp_path: Path) -> None:
    copied = "Ten days! My train leaves in just six minutes."
    own = [{"topic": "Trains", "people": {"A": None, "B": None}, "turns": [["A", copied]] * 2}]
    (tmp_path / "own.yaml").write_text(json.dumps(own), "utf-8")
    with pytest.raises(ConvogenError, match="max_failures"):
        one_dialogue(tmp_path, [(0, "Hurry!"), (1, copied)], examples=str(tmp_path / "own.yaml"))
    (failure,) = Run(tmp_path / "run").failures()
    assert "is of an example" in failure.message


@settings(max_examples=10, deadline=None)
@given(text=st.text(max_size=40), hostile=st.sampled_from(["turns", "subtopics", "personas"]))
def test_whatever_a_model_says_the_plan_is_played_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, text: str, hostile: str
) -> None:
    def answers(request: Request) -> str:
        if step(request) != hostile:
            return sensible(request)
        if hostile == "turns":
            return dialogue(request, [(0, text), (1, f"{{{{ {text} }}}}"), (0, text)])
        return json.dumps({hostile: [text, {"name": text, "about": text}]}) + text

    folder = tmp_path_factory.mktemp("hostile")
    made = played(small(folder, max_failures=50, tries=1, reasks=0), folder / "run", answers)
    assert len(list(made.conversations())) + len(list(made.failures())) == 12


# Other forms


def test_each_ablation_is_one_flag_and_keeps_the_size(tmp_path: Path) -> None:
    found: dict[str, Run] = {}
    for flag in ("reasoning", "personas", "subtopics"):
        model = Counting()
        experiment = small(tmp_path, **{flag: False})
        assert experiment.n == 12
        found[flag] = run(experiment, tmp_path / flag, open_model=lambda _, model=model: model)
        assert (flag in {step(request) for request in model.asked}) is False
        assert len(list(found[flag].conversations())) == 12
    assert all("characteristics" not in c.context for c in found["reasoning"].conversations())
    assert {*next(found["personas"].conversations()).participants} == {"Person 1", "Person 2"}
    assert all("subtopic" not in c.context for c in found["subtopics"].conversations())


def test_groups_of_three_all_speak(tmp_path: Path) -> None:
    experiment = small(tmp_path, group_size=3, n_personas=4, turns=[8, 12], n=6)
    assert experiment.method.task_count() == 2 * 2 * 4
    made = played(experiment, tmp_path / "run")
    for one in made.conversations():
        assert len({turn.speaker for turn in one.turns}) == len(one.participants) == 3


@pytest.mark.parametrize("reasoning", [True, False])
def test_the_same_plan_as_group_chats(tmp_path: Path, reasoning: bool) -> None:
    experiment = small(tmp_path, mode="groupchat", turns=[3, 5], n=6, reasoning=reasoning)
    made = played(experiment, tmp_path / "run")
    for one in made.conversations():
        assert [turn.origin for turn in one.turns] == ["starter"] + ["agent"] * (len(one.turns) - 1)
        assert 3 <= len(one.turns) <= 5
        assert ("characteristics" in one.context) == reasoning
    assert len({len(one.turns) for one in made.conversations()}) > 1


@pytest.mark.parametrize("mode", ["script", "groupchat"])
def test_a_run_is_replayed_to_the_same_bytes(tmp_path: Path, mode: str) -> None:
    played(small(tmp_path, mode=mode, n=6, max_failures=50), tmp_path / "run", flawed_once)
    assert replay_run(tmp_path / "run").difference is None


def flawed_once(request: Request) -> str:
    return sensible(request) if request.schema is None else flawed(request)


def test_a_group_chat_goes_another_way_from_a_turn_on(tmp_path: Path) -> None:
    made = played(small(tmp_path, mode="groupchat", turns=[4, 4], n=5), tmp_path / "run")
    last = list(made.conversations())[-1]
    other = replay_conversation(
        made.folder, last.id, 3, tmp_path / "other", open_model=lambda _: ScriptedModel()
    )
    (again,) = other.conversations()
    texts = [turn.text for turn in again.turns]
    assert texts[:2] == [turn.text for turn in last.turns[:2]]
    assert texts[2:] != [turn.text for turn in last.turns[2:]]


def test_a_scripted_dialogue_cannot(tmp_path: Path) -> None:
    made = played(small(tmp_path, n=1), tmp_path / "run")
    with pytest.raises(ExperimentError, match="written in one reply"):
        replay_conversation(made.folder, next(made.conversations()).id, 2)


# Errors by users


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"group_size": 4}, "group_size: must be at most n_personas \\(3\\), but is 4"),
        ({"turns": [9, 4]}, "the minimum"),
        ({"n_personas": 1}, "n_personas"),
        ({"similarity": "vibes"}, "similarity"),
        ({"mode": "opera"}, "mode"),
    ],
)
def test_impossible_parameters_are_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        small(tmp_path, **keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "write one topic per line"), ("Tea\ntea\n", "twice"), ("x" * 300, "300 characters")],
)
def test_topics_that_cannot_be_used_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text, "utf-8")
    experiment = small(tmp_path, topics=str(path))
    with pytest.raises(SourceError, match=said):
        experiment.fingerprint  # noqa: B018
    with pytest.raises(SourceError, match=r"no\.txt: cannot be read"):
        small(tmp_path, topics=str(tmp_path / "no.txt")).n  # noqa: B018


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topic: x", "must be a list"),
        ("- {topic: x, people: {A: a, B: b}}", "1.turns: is missing"),
        (
            "- {topic: x, people: {A: a, B: b}, turns: [[A, hi], [C, ho]]}",
            "'C' is not listed in people",
        ),
        (
            "- {topic: x, people: {A: a, B: b}, characteristics: {mood: dark}, "
            "turns: [[A, hi], [B, ho]]}",
            "characteristics: .*mood",
        ),
    ],
)
def test_examples_that_cannot_be_used_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SourceError, match=said):
        small(tmp_path, examples=str(path)).fingerprint  # noqa: B018


def test_conversations_of_ones_own_are_examples(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"id": "1", "dialogue": "Ann: who took my rook?\nBob: the cat", "summary": "A cat."}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    model = Counting()
    experiment = small(tmp_path, examples=str(path), n=1)
    run(experiment, tmp_path / "run", open_model=lambda _: model)
    shown = model.asked[-1].messages[-1].content
    assert '{"speaker": "Ann", "text": "who took my rook?"}' in shown


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data is missing")
def test_dialogsum_itself_gives_examples(tmp_path: Path) -> None:
    source = SHARED / "dialogsum" / "dialogsum.dev.jsonl"
    experiment = small(tmp_path, examples=str(source), n=1)
    assert len(experiment.method.example_list) > 450
    assert len(list(played(experiment, tmp_path / "run").conversations())) == 1


def test_agents_say_whom_they_address_under_the_names_of_the_dialogue(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"mode": "groupchat", "turns": [4, 4], "n": 4}
    asked = small(tmp_path, addressees=True, speakers="roles", **keys)
    made = played(asked, tmp_path / "run")
    found = {
        (turn.speaker, turn.addressee)
        for conversation in made.conversations()
        for turn in conversation.turns[1:]
    }
    roles = {"#Person1#", "#Person2#"}
    assert found
    assert all(to == "all" or to in roles - {speaker} for speaker, to in found)
    assert {to for _, to in found} & roles
    plain = small(tmp_path, **keys)
    assert plain.fingerprint == small(tmp_path, addressees=False, **keys).fingerprint
    assert plain.fingerprint != small(tmp_path, addressees=True, **keys).fingerprint


def test_addressees_are_of_the_group_chat(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"addressees.*groupchat.*script"):
        small(tmp_path, addressees=True)


def test_one_more_is_asked_for_in_the_singular() -> None:
    """Incomplete lists are filled up, so a single entry is often requested."""
    known = [Persona(name="Ada", text="A nurse of 40.")]
    for n, told in (1, "one such person"), (3, "3 such people"):
        asked = load_prompt("diasynth/personas").render(
            topic="Tea", subtopic="milk", n=n, known=known, words=WORDS
        )[-1]
        assert told in asked.content
        assert ("Let them differ" in asked.content) == (n > 1)
        assert ("This one differs from those" in asked.content) == (n == 1)
        assert "\n\n\n" not in asked.content
    for n, told in (1, "Name one subtopic of"), (3, "Name 3 subtopics of"):
        asked = load_prompt("diasynth/subtopics").render(
            topic="Tea", n=n, known=["iced"], words=WORDS
        )[-1]
        assert told in asked.content
        assert ("No two are alike" in asked.content) == (n > 1)


def test_rows_as_dialogsum_has_them_give_examples(tmp_path: Path) -> None:
    source = downstream_data.write(tmp_path / "dialogsum.jsonl", 9)
    experiment = small(tmp_path, examples=str(source), n=1)
    assert len(experiment.method.example_list) == 9
    assert len(list(played(experiment, tmp_path / "run").conversations())) == 1
