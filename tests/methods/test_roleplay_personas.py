"""The role players: how people are drawn, read, described and distributed over the plan."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, Run, run
from convogen.errors import ExperimentError, SourceError
from convogen.experiment.experiment import shipped_experiments
from convogen.methods.roleplay.method import Roleplay
from convogen.methods.roleplay.personas import (
    FEATURES,
    Feature,
    drawn,
    file_people,
    options_of,
    people,
    sentence,
)
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request

PAPERS = sorted({*shipped_experiments()} & {f"roleplay-{m}" for m in "gpt4 mixtral vicuna".split()})
AUTHORS = Path(__file__).parents[3] / "shared" / "data" / "llm_roleplay" / "dialogue_generator.yaml"
untimed = settings(deadline=None, max_examples=40)
A_FEATURE = st.sampled_from(FEATURES)


def method(**keys: object) -> Roleplay:
    return Roleplay.model_validate(keys)


def play(folder: Path, **keys: object) -> Run:
    def script(request: Request) -> str:
        return '"One?"' if request.role == "inquirer" else "Yes."

    given = {"name": "t", "method": "roleplay", "max_turns": 1, "models": "scripted", **keys}
    return run(Experiment(given), folder, open_model=lambda _: ScriptedModel(script))


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (
            ("65 or older", "Hispanic or Latino", "nonbinary", "doctoral degree", "native"),
            "a nonbinary Hispanic or Latino person of 65 or older with a doctoral degree; "
            "English is their first language",
        ),
        (
            ("18 to 24", "Asian or Pacific Islander", "", "less than high school", "non-native"),
            "an Asian or Pacific Islander person of 18 to 24 who left school before a diploma; "
            "English is not their first language",
        ),
        (("", "", "", "some college", ""), "a person with some years of college"),
        (
            ("71", "", "agender", "none of note", ""),
            "an agender person of 71 whose education is: none of note",
        ),
        (("", "", "", "", ""), "a person"),
    ],
)
def test_a_persona_is_told_in_a_sentence(features: tuple[str, ...], told: str) -> None:
    given = {name: one for name, one in zip(FEATURES, features, strict=True) if one}
    assert sentence(given) == told


@untimed
@given(n=st.integers(1, 30), told=st.lists(A_FEATURE, unique=True), seed=st.integers(0, 9))
def test_fewer_features_tell_less_of_the_same_people(
    n: int, told: list[Feature], seed: int
) -> None:
    rows = drawn(n, {}, seed)
    some, whole = people(rows, told), people(rows)
    assert len({one.text for one in whole}) == n
    assert [one.id for one in some] == [one.id for one in whole]
    assert [one.features for one in some] == [dict(row) for row in rows]
    for one, full in zip(some, whole, strict=True):
        words = set((one.text or "").replace(";", "").split())
        assert words <= {*(full.text or "").replace(";", "").split(), "a", "an"}
    assert rows == drawn(n + 5, {}, seed)[:n]
    if not told:
        assert {one.text for one in some} == {"a person"}


@untimed
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    options=st.fixed_dictionaries(
        {},
        optional={
            name: st.lists(st.sampled_from(options_of(name)), min_size=1, unique=True)
            for name in FEATURES
        },
    ),
)
def test_a_small_draw_is_balanced(seed: int, n: int, options: dict[Feature, list[str]]) -> None:
    """All options of a feature have nearly the same frequency, however few people there are."""
    rows = drawn(n, options, seed)
    assert len(rows) == n
    for name in FEATURES:
        allowed = options.get(name) or options_of(name)
        counts = Counter(row[name] for row in rows)
        assert set(counts) <= set(allowed)
        times = [counts[one] for one in allowed]
        assert max(times) - min(times) <= 2


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_personas_are_like_its_participants(name: str) -> None:
    """Four age bands, two races, two genders, and Master's and doctoral degrees (appendix B)."""
    loaded = Experiment.load(name).method
    assert isinstance(loaded, Roleplay)
    found = {key: {(one.features or {})[key] for one in loaded.people} for key in FEATURES}
    assert found == {
        "age": {"18 to 24", "25 to 34", "35 to 44", "45 to 54"},
        "race": {"White", "Asian or Pacific Islander"},
        "gender": {"female", "male"},
        "education": {"master's degree", "doctoral degree"},
        "native_english": {"native", "non-native"},
    }
    assert len({one.id for one in loaded.people}) == 20


@pytest.mark.parametrize("name", PAPERS)
def test_ten_dialogues_are_of_ten_people_and_ten_goals(name: str) -> None:
    loaded = Experiment.load(name).method
    assert isinstance(loaded, Roleplay)
    pairs = [loaded.pair(task) for task in range(loaded.task_count())]
    assert len({one.id for one, _ in pairs[:10]}) == 10
    assert len({goal.name for _, goal in pairs[:10]}) == 10
    assert len({(one.id, goal.name) for one, goal in pairs}) == 200


@untimed
@given(n=st.integers(1, 9), goals=st.integers(1, 10), vary=st.none() | A_FEATURE)
def test_every_plan_has_each_pair_once(n: int, goals: int, vary: Feature | None) -> None:
    plan = method(personas=n, goals=goals, vary=vary)
    pairs = {(one.id, goal.name) for one, goal in map(plan.pair, range(plan.task_count()))}
    assert len(pairs) == plan.task_count() == len(plan.people) * goals


def test_a_feature_is_fixed_or_varied_alone() -> None:
    fixed = method(feature_options={"education": ["doctoral degree"]}, personas=8)
    assert {(one.features or {})["education"] for one in fixed.people} == {"doctoral degree"}
    ages = ["18 to 24", "65 or older"]
    varied = method(vary="age", feature_options={"age": ages}, personas=3, goals=2)
    pairs = [varied.pair(task) for task in range(varied.task_count())]
    assert varied.task_count() == 3 * 2 * 2
    for (young, goal), (old, same) in zip(pairs[::2], pairs[1::2], strict=True):
        a, b = dict(young.features or {}), dict(old.features or {})
        assert [a.pop("age"), b.pop("age")] == ages
        assert (a, goal.name) == (b, same.name)


def test_records_hold_who_a_persona_is(tmp_path: Path) -> None:
    result = play(tmp_path, personas=3, goals=2, features=["age"])
    known = {one.task: one.personas[0] for one in result.experiences()}
    for dialogue in result.conversations():
        assert dialogue.task is not None
        persona = known[dialogue.task]
        assert dialogue.context["persona_id"] == persona.id
        assert dialogue.context["features"] == persona.features
        assert set(persona.features or {}) == set(FEATURES)
    assert len({one.context["persona_id"] for one in result.conversations()}) == 3


def test_a_persona_of_a_hub_has_an_id_too(tmp_path: Path) -> None:
    (tmp_path / "hub.jsonl").write_text('{"persona": "a baker"}\n{"persona": "a pilot"}\n', "utf-8")
    hub = {"persona_source": str(tmp_path / "hub.jsonl"), "personas": 2, "goals": 2}
    dialogues = list(play(tmp_path / "run", **hub).conversations())
    assert len({one.context["persona_id"] for one in dialogues}) == 2
    assert all("features" not in one.context for one in dialogues)


ROWS: list[dict[str, Any]] = [
    {"age": "a 25 to 34", "gender": "Male", "education": "Master's degree", "native_english": "is"},
    {"age": 71, "education": "PhD", "race": "Roma", "persona_id": "P7", "native_english": False},
]


@pytest.mark.parametrize("kind", ["json", "yaml", "jsonl", "csv", "under a key"])
def test_a_file_has_rows_of_features(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"people.{'yaml' if kind == 'under a key' else kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    elif kind == "csv":
        path.write_text(
            "persona_id,age,race,gender,education,native_english\n"
            ",a 25 to 34,,Male,Master’s degree,is\nP7,71,Roma,,PhD,false\n",
            "utf-8",
        )
    else:
        path.write_text(json.dumps({"personas": ROWS} if kind == "under a key" else ROWS), "utf-8")
    first, second = method(personas_file=str(path)).people
    assert first.text == (
        "a male person of 25 to 34 with a master's degree; English is their first language"
    )
    assert second.text == (
        "a Roma person of 71 with a doctoral degree; English is not their first language"
    )
    assert second.id == "P7"
    assert second.source == path.name
    assert second.features == {
        "age": "71",
        "race": "Roma",
        "education": "doctoral degree",
        "native_english": "non-native",
    }


def test_a_file_may_be_varied_and_its_first_rows_taken(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    path.write_text(json.dumps(ROWS[::-1]), "utf-8")
    plan = method(
        personas_file=str(path),
        personas=1,
        goals=1,
        vary="age",
        feature_options={"age": ["18 to 24", "45 to 54"]},
    )
    assert [one.id for one in plan.people] == ["P7/18 to 24", "P7/45 to 54"]
    assert plan.task_count() == 2


CONFIGURATION = """\
# @package _global_
action_name: dialogue_generator
hydra:
  sweeper:
    params:
      seed: 1,2
action_config:
  workdir: "./"
  task:
    num_turns: 12
    model_inquirer: ???
    dataset:
      input_key: "instruction"
      data:
        instruction:
          - "You want to repaint a boat. You ask how much paint it takes."
    persona:
      num_personas: 5
      prompt: "<AGE>-year-old <RACE> individual"
      fixed:
        - person:
            age: "a 25 to 34"
            race: "White"
            gender: "Male"
            education: "Master's degree"
            native_english: "is not"
        - person:
            age: "an 18 to 24"
            race: "Asian or Pacific Islander"
            gender: "Female"
            education: "Bachelor's degree"
            native_english: "is"
        - person: {age: "a 25 to 34", race: "White", gender: "Male", native_english: "is not"}
"""
"""A configuration in the authors' format, with people and a goal of our own."""


def test_people_are_read_from_a_configuration_in_the_authors_form(tmp_path: Path) -> None:
    path = tmp_path / "dialogue_generator.yaml"
    path.write_text(CONFIGURATION, "utf-8")
    plan = method(personas_file=str(path))
    assert len(plan.people) == 3
    assert plan.task_count() == 3 * 10  # of the shipped goals
    assert len({one.id for one in plan.people}) == 3
    features = [one.features or {} for one in plan.people]
    assert [one["age"] for one in features] == ["25 to 34", "18 to 24", "25 to 34"]
    assert [one["native_english"] for one in features] == ["non-native", "native", "non-native"]
    assert "education" not in features[2]


@pytest.mark.skipif(not AUTHORS.exists(), reason="the folder shared/data is missing")
def test_the_twenty_of_the_paper_are_read_from_the_authors_file() -> None:
    plan = method(personas_file=str(AUTHORS))
    assert (len(plan.people), plan.task_count()) == (20, 200)
    assert len({one.id for one in plan.people}) == 20
    assert Counter((one.features or {})["age"] for one in plan.people) == {
        "25 to 34": 15,
        "18 to 24": 3,
        "35 to 44": 1,
        "45 to 54": 1,
    }
    assert Counter((one.features or {})["native_english"] for one in plan.people) == {
        "non-native": 17,
        "native": 3,
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "[]", "contains no personas"),
        ("a.json", "{}", "contains no personas"),
        ("a.json", '[{"hair": "red"}]', "row 1: unknown key 'hair'; allowed: age, race"),
        ("a.json", '[{"age": "9"}, 7]', "row 2: 7 is not a persona"),
        ("a.json", '[{"persona_id": "x"}]', "row 1: has no features"),
        ("a.json", '[{"age": [1]}]', "row 1: age: must be a string or an integer (found [1])"),
        (
            "a.json",
            '[{"native_english": "maybe"}]',
            "'maybe' is not an option; allowed: native, non-native",
        ),
        ("a.json", json.dumps([{"age": "x" * 200}]), "age: must have 1 to 120 characters"),
        (
            "a.json",
            '[{"age": "1", "persona_id": "x"}, {"age": "2", "persona_id": "x"}]',
            "two rows",
        ),
        ("a.jsonl", '{"age": "9"}\n{"age": \n', "line 2"),
        ("a.yaml", "{", "cannot be read"),
    ],
)
def test_rows_that_are_none_are_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(SourceError) as error:
        file_people(tmp_path / name, None)
    assert said in str(error.value)
    assert name in str(error.value)


def test_a_file_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"age": "9"}]', "utf-8")
    with pytest.raises(SourceError, match=r"2 personas requested, but the file has only 1"):
        file_people(tmp_path / "a.json", 2)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"feature_options": {"age": ["13"]}}, "age: '13' is not an option; allowed: 18 to 24"),
        ({"feature_options": {"age": []}}, "age: is empty"),
        ({"feature_options": {"hair": ["red"]}}, "hair"),
        ({"vary": "hair"}, "vary"),
        ({"vary": "age", "features": ["race"]}, "is not listed in features"),
        ({"personas_file": "a", "persona_source": "everyday"}, "leave one out"),
        ({"persona_source": "everyday", "vary": "age"}, "have no features"),
        (
            {"personas_file": "a", "feature_options": {"age": ["18 to 24"]}},
            "only the feature that vary names",
        ),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ExperimentError) as error:
        Experiment({"name": "t", "method": "roleplay", **keys})
    assert said in str(error.value)
    assert "\n" not in str(error.value)
