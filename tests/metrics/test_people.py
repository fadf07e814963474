"""The people of a data set: ages, genders and the origins of their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import convogen.metrics
from convogen.generation.example_experiences import load_experiences
from convogen.inputs.yaml12 import read_yaml
from convogen.metrics.people import UNKNOWN, origin_of, people_of
from convogen.records import Persona


def described(text: str) -> Persona:
    return Persona(name="X", text=text)


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("Priya Patel", "South Asian"),
        ("Dr. Okafor", "African"),
        ("Marcus Chen", "Chinese"),
        ("Ji-hoon", "Korean"),
        ("José García", "Spanish or Portuguese"),
        ("JOSE GARCIA", "Spanish or Portuguese"),
        ("O'Brien", "English-speaking"),
        ("李伟", "Chinese"),
        ("さくら", "Japanese"),
        ("Светлана", "East European"),
        ("Harriet Unheardof", "English-speaking"),
        ("Person 1", UNKNOWN),
        ("#Person1#", UNKNOWN),
        ("Maria", UNKNOWN),
    ],
)
def test_where_a_name_is_at_home(name: str, origin: str) -> None:
    assert origin_of(name) == origin


def test_no_name_is_at_home_in_two_places() -> None:
    file = Path(convogen.metrics.__file__).with_name("names.yaml")
    names = [name for group in read_yaml(file).values() for name in group.split()]
    assert len(names) == len({*names})
    assert all(name.isalpha() and name.isascii() and name.islower() for name in names)


@pytest.mark.parametrize(
    ("text", "age", "gender"),
    [
        ("A 17-year-old who lives with his aunt.", "under 18", "men"),
        ("A retired cook of 61 who grows beans. She is kind.", "45 to 64", "women"),
        ("A nonbinary person of 65 or older with a doctoral degree", "65 or more", "nonbinary"),
        ("A woman, aged 29, who looks after her father; he is ill.", "18 to 29", UNKNOWN),
        ("I have two dogs and a team of 12 players.", UNKNOWN, UNKNOWN),
    ],
)
def test_age_and_gender_are_read_out_of_a_description(text: str, age: str, gender: str) -> None:
    found = people_of([described(text)])
    assert found is not None
    assert (found.ages, found.genders) == ({age: 1}, {gender: 1})


def test_cards_say_it_themselves() -> None:
    people = [one for experience in load_experiences(None) for one in experience.personas]
    found = people_of(people)
    assert found is not None
    assert found.people == len(people)
    assert UNKNOWN not in found.ages
    assert {"women", "men"} <= {*found.genders}
    over = sum(one.card is not None and one.card.age >= 65 for one in people)
    assert found.ages.get("65 or more", 0) == over


def test_origins_and_first_names_are_those_of_the_names() -> None:
    names = ("Yusuf Warsame", "Priya Sharma", "Priya Nair", "Qwxz Zzyx")
    found = people_of(Persona(name=name) for name in names)
    assert found is not None
    assert found.origins == {"South Asian": 2, "Arabic, Persian or Turkish": 1, UNKNOWN: 1}
    assert found.first_names == {"Priya": 2, "Yusuf": 1, "Qwxz": 1}


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (5, "under 18"), (17, "under 18"), (18, "18 to 29"), (29, "18 to 29"), (30, "30 to 44"),
        (44, "30 to 44"), (45, "45 to 64"), (64, "45 to 64"), (65, "65 or more"),
    ],
)  # fmt: skip
def test_the_bands_of_ages(age: int, band: str) -> None:
    for said in (f"{age} years old", f"{age}-year-old", f"Aged {age}", f"A cook of {age}, tired"):
        found = people_of([described(said)])
        assert found is not None
        assert found.ages == {band: 1}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Female", "women"),
        ("F", "women"),
        ("trans woman", "women"),
        ("male", "men"),
        ("a young Man", "men"),
        ("Non-binary", "nonbinary"),
        ("agender", "nonbinary"),
        ("woman or man", "woman or man"),
        ("Two-Spirit", "two-spirit"),
        ("x" * 50, "x" * 40),
    ],
)
def test_genders_of_cards(said: str, kind: str) -> None:
    [experience, *_] = load_experiences(None)
    persona = next(one for one in experience.personas if one.card)
    assert persona.card is not None
    card = persona.card.model_copy(update={"gender": said})
    found = people_of([persona.model_copy(update={"card": card})])
    assert found is not None
    assert found.genders == {kind: 1}


def test_kinds_stand_by_how_many_they_are_and_what_is_not_known_last() -> None:
    """Twelve genders are listed separately, and the two rarest are counted together."""
    [experience, *_] = load_experiences(None)
    card = next(one.card for one in experience.personas if one.card)
    people = [
        Persona(
            name=f"Name{chr(97 + at)} Unheardof", card=card.model_copy(update={"gender": f"g{at}"})
        )
        for at in range(14)
        for _ in range(20 - at)
    ]
    people += [described("Of no gender and no age.")] * 30
    people += [Persona(name="Priya Patel", text="She sings.")] * 2
    found = people_of(people)
    assert found is not None
    assert list(found.genders.items()) == [
        *((f"g{at}", 20 - at) for at in range(12)),
        ("others", 8 + 7 + 2),
        (UNKNOWN, 30),
    ]
    assert list(found.origins) == ["South Asian", UNKNOWN]
    assert list(found.first_names) == ["X", *(f"Name{chr(97 + at)}" for at in range(11))]
    assert found.first_names["X"] == 30


def test_no_people_are_none() -> None:
    assert people_of([]) is None


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=60))))
def test_everybody_is_counted_whatever_they_are_called(people: list[tuple[str, str]]) -> None:
    found = people_of(Persona(name=name, text=text) for name, text in people)
    if found is not None:
        for counts in (found.ages, found.genders, found.origins):
            assert sum(counts.values()) == found.people == len(people)
