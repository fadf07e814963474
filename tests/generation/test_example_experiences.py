"""Experiences in files: how they are read, which errors are found, and how prompts show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convogen.errors import SourceError
from convogen.generation.example_experiences import (
    card_text,
    check_experience,
    description,
    encounter_text,
    free_text,
    know_each_other,
    load_experiences,
    memories,
    person_line,
    public_card,
    shot_text,
)
from convogen.records import Experience, Persona, Profile, Starter

FILE = """\
personas:
  - name: "Ada\\nHolt"
    age: 41
    gender: woman
    qualities: [calm, dry, exact]
    lifestyle: Repairs clocks and swims.
    speech_style: Short sentences.
    recent_memory: Sold the big clock.
    long_term_memory: Grew up by a lock.
  - name: Bo
    text: |
      Sails a barge,
      and sings.
    licence: CC-BY-4.0
relations: Neighbours.
situation: On the quay.
topic: the lost oar
starter: {speaker: "ada\\nholt", text: "Is that my oar?"}
"""


@pytest.fixture
def experience(tmp_path: Path) -> Experience:
    return load(tmp_path, FILE)


def load(folder: Path, text: str) -> Experience:
    path = folder / "quay.yaml"
    path.write_text(text, "utf-8")
    [found] = load_experiences(path)
    return found


def test_a_file_is_read(experience: Experience) -> None:
    ada, bo = experience.personas
    assert (experience.id, experience.topic) == ("quay", "the lost oar")
    assert (ada.name, ada.text, ada.source) == ("Ada Holt", None, "experiences/quay.yaml")
    assert ada.card is not None
    assert (ada.card.age, ada.card.qualities) == (41, ["calm", "dry", "exact"])
    assert (bo.name, bo.card, bo.licence) == ("Bo", None, "CC-BY-4.0")
    assert (experience.starter.speaker, experience.starter.text) == ("ada holt", "Is that my oar?")


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.yaml").write_text(FILE, "utf-8")
    (tmp_path / "0.txt").write_text("no experience")
    assert [one.id for one in load_experiences(tmp_path)] == ["a", "b", "c"]
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match=r"none: contains no experiences; provide at least one"):
        load_experiences(tmp_path / "none")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("topic: the lost oar", "topik: x", r"quay\.yaml: topic: is missing"),
        ("    age: 41", "    age: old", r"quay\.yaml: personas\.1\.age"),
        ("    age: 41\n", "", r"quay\.yaml: personas\.1\.age"),
        ("    licence: CC-BY-4.0", "    licens: x", r"quay\.yaml: personas\.2\."),
        ("  - name: Bo\n", "  - Bo\n  - name: Bo\n", r"personas\.2 must be a mapping with a name"),
        ("  - name: Bo", "  - name: ADA HOLT", r"two of them are named 'ada holt'; give"),
        ('speaker: "ada\\nholt"', "speaker: Cy", r"starter\.speaker: 'Cy' is none of Ada Holt, Bo"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in FILE
    with pytest.raises(SourceError, match=said):
        load(tmp_path, FILE.replace(old, new))


def test_people_are_a_list_of_two_at_least(tmp_path: Path) -> None:
    rest = FILE[FILE.index("relations") :]
    with pytest.raises(SourceError, match=r"personas must be a list of personas \(found 'Ada'\)"):
        load(tmp_path, "personas: Ada\n" + rest)
    alone = FILE[: FILE.index("  - name: Bo")] + rest
    with pytest.raises(SourceError, match="personas: 1 found, at least 2 are needed to talk"):
        load(tmp_path, alone)


def test_who_speaks_first_is_found_however_it_is_written(experience: Experience) -> None:
    assert check_experience(experience) is None
    for speaker, wrong in (("ADA HOLT", False), ("Bo", False), ("Ada", True)):
        starter = Starter(speaker=speaker, text="So.")
        said = check_experience(experience.model_copy(update={"starter": starter}))
        assert bool(said) is wrong


def test_how_people_are_shown(experience: Experience) -> None:
    ada, bo = experience.personas
    lines = [
        "age: 41",
        "gender: woman",
        "qualities: calm, dry, exact",
        "lifestyle: Repairs clocks and swims.",
        "speech style: Short sentences.",
    ]
    private = ["recent memory: Sold the big clock.", "long term memory: Grew up by a lock."]
    assert public_card(ada) == lines
    assert card_text(ada) == "\n".join(f"- {line}" for line in [*lines, *private])
    assert memories(ada) == ["Sold the big clock.", "Grew up by a lock."]
    assert (public_card(bo), memories(bo)) == ([], [])
    assert card_text(bo) == bo.text
    assert (free_text(ada), free_text(bo)) == ("", "Sails a barge, and sings.")
    assert description(ada) == "; ".join(lines)
    assert description(bo) == "Sails a barge, and sings."
    named = "Ada Holt: " + "; ".join([*lines, *private])
    assert person_line(ada, named=True) == named
    assert person_line(ada, named=False) == "Repairs clocks and swims. Sold the big clock."
    assert person_line(bo, named=True) == "Bo: Sails a barge, and sings."
    assert person_line(Profile(text=" Sails \n far", source="m"), named=False) == "Sails far"


def test_an_experience_is_shown_as_the_object_asked_for(experience: Experience) -> None:
    ada = experience.personas[0]
    assert ada.card is not None
    invented = {"relations": "Neighbours.", "situation": "On the quay.", "topic": "the lost oar"}
    starter = {"speaker": "ada holt", "text": "Is that my oar?"}
    whole = json.loads(shot_text(experience))
    assert list(whole) == ["personas", *invented, "starter"]
    assert whole == {
        "personas": [
            {"name": "Ada Holt", **ada.card.model_dump()},
            {"name": "Bo", "text": experience.personas[1].text},
        ],
        **invented,
        "starter": starter,
    }
    named = json.loads(encounter_text(experience, named=True))
    assert list(named) == [*invented, "acquainted", "starter"]
    assert named == {**invented, "acquainted": True, "starter": starter}
    unnamed = json.loads(encounter_text(experience, named=False))
    assert unnamed == {"names": ["Ada Holt", "Bo"], **named}
    umlaut = experience.model_copy(update={"topic": "Öl für Bär"})
    assert "Öl für Bär" in shot_text(umlaut)
    assert "Öl für Bär" in encounter_text(umlaut, named=True)


@pytest.mark.parametrize(
    ("sources", "said", "known"),
    [
        (["generated", "generated"], None, True),
        (["generated", "experiences/quay.yaml"], None, True),
        (["generated", "hub.jsonl"], None, False),
        (["experiences.jsonl", "generated"], None, False),
        (["hub.jsonl", "hub.jsonl"], True, True),
        (["generated", "generated"], False, False),
    ],
)
def test_who_was_invented_together_is_acquainted(
    sources: list[str], said: bool | None, known: bool, experience: Experience
) -> None:
    people = [
        Persona(name=name, text="x", source=source)
        for name, source in zip(("Ada Holt", "Bo"), sources, strict=True)
    ]
    given = experience.model_copy(update={"personas": people, "acquainted": said})
    assert know_each_other(given) is known
    assert json.loads(encounter_text(given, named=True))["acquainted"] is known
