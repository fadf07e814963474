"""Group-chat quality, compared with values calculated by hand."""

from __future__ import annotations

from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.interaction.vocatives import called_in
from convogen.metrics.groupchat import (
    addressing,
    balance,
    longest_absence,
    longest_farewell,
    self_repetitions,
)

NAMES = st.sampled_from(["Ana", "Bo", "Cy", "Dee"])


def test_balance_by_hand() -> None:
    assert balance(["a", "b", "c", "a", "b", "c"], ["a", "b", "c"]) == pytest.approx(1)
    assert balance(["a", "a", "a"], ["a", "b"]) == 0
    assert balance(["a", "a", "b"], ["a", "b"]) == pytest.approx(
        -(2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3)) / log(2)
    )
    assert balance(["a", "b"], ["a", "b", "c", "d"]) == pytest.approx(0.5)
    assert balance(["a"], ["a"]) is None


@given(st.lists(NAMES, min_size=1))
def test_balance_is_a_share(speakers: list[str]) -> None:
    even = balance(speakers, ["Ana", "Bo", "Cy", "Dee"])
    assert even is not None
    assert -1e-9 <= even <= 1 + 1e-9


def test_longest_absence_counts_both_ends() -> None:
    assert longest_absence(["a", "b", "a", "b"], ["a", "b"]) == 1
    assert longest_absence(["a", "a", "a", "b"], ["a", "b"]) == 3
    assert longest_absence(["a", "b", "b", "b", "a", "a"], ["a", "b"]) == 3
    assert longest_absence(["a", "b", "a"], ["a", "b", "c"]) == 3


@given(st.lists(NAMES, min_size=1))
def test_longest_absence_is_the_longest_run_without_somebody(speakers: list[str]) -> None:
    people = sorted(set(speakers))
    runs = [
        max(len(part) for part in "".join(".x"[one == name] for one in speakers).split("x"))
        for name in people
    ]
    assert longest_absence(speakers, people) == max(runs)


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Ana, look at this", ["Ana Lind"]),
        ("Look at this, Ana!", ["Ana Lind"]),
        ("Hey Ana Lind! And you, Bo?", ["Ana Lind", "Bo"]),
        ("Ana looked away", []),
        ("I saw Ana.", []),
        ("Anaconda, banana", []),
        ("Thanks Bo", ["Bo"]),
        ("", []),
    ],
)
def test_who_is_called_by_name(text: str, called: list[str]) -> None:
    assert list(called_in(text, ("Ana Lind", "Bo"))) == called


def test_a_first_name_that_two_share_calls_neither() -> None:
    assert called_in("Ana, look", ("Ana Lind", "Ana Berg")) == ()
    assert called_in("Ana Berg, look", ("Ana Lind", "Ana Berg")) == ("Ana Berg",)


def test_addressing_counts_who_answers() -> None:
    speakers = ["Ana", "Bo", "Cy", "Bo", "Ana"]
    texts = ["Bo, tea?", "Yes. Ana, milk?", "I have some", "Cy, thanks", "Bo, bye"]
    assert addressing(speakers, texts, ["Ana", "Bo", "Cy"]) == (3, 1, 2)


def test_self_repetitions_are_the_same_speakers() -> None:
    line = "I would love to see that old mill again"
    assert self_repetitions(["a", "b", "a", "b"], [line, line, "No", "No"]) == 0
    assert self_repetitions(["a", "b", "a"], [line, "Yes", line + "!"]) == 1


def test_longest_farewell() -> None:
    assert longest_farewell(["Hi", "Bye!", "Goodbye", "See you", "One more thing", "Bye"]) == 3
    assert longest_farewell(["Hi"]) == 0


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Well Bo.", True),
        ("  Bo  ", True),
        ('He said: "Bo", twice', True),
        ("tea (Bo) tea", True),
        ("OKAY Bo – yes", True),
        ("Bo2, come", False),
        ("2Bo, come", False),
        ("Bo\u2026", True),
        ("Bob, come. Come, Bo", True),
        ("Bob, come", False),
        ("tell Bo, please", False),
        ("MAX Bo, come", False),
        ("Bo's, no", False),
    ],
)
def test_a_call_stands_between_breaks(text: str, called: bool) -> None:
    assert called_in(text, ["Bo"]) == ("Bo",) * called


def test_only_the_beginning_of_a_turn_and_the_first_fifty_people_are_looked_at() -> None:
    at_the_end = "x" * 1_996 + ". Bo"
    assert addressing(["Ana", "Bo"], [at_the_end, "Yes."], ["Ana", "Bo"]) == (1, 1, 1)
    assert addressing(["Ana", "Bo"], ["x" + at_the_end, "Yes."], ["Ana", "Bo"]) == (0, 0, 0)
    people = [f"N{at} Lee" for at in range(51)]
    for at, heard in ((49, 1), (50, 0)):
        spoken = addressing(["N0 Lee", people[at]], [f"{people[at]}, come.", "Yes."], people)
        assert spoken == (heard, heard, heard)


def test_a_repetition_is_of_one_of_the_fifty_turns_before() -> None:
    line = "I would love to see that old mill again"
    letters = [Random(at).choices("bcdfghjklmnp", k=40) for at in range(50)]
    others = [" ".join("".join(of[at : at + 8]) for at in range(0, 40, 8)) for of in letters]
    assert self_repetitions(["a"] * 51, [line, *others[:49], line]) == 1
    assert self_repetitions(["a"] * 52, [line, *others, line]) == 0


def test_hostile_text_does_not_hang() -> None:
    names = [f"N{at}" for at in range(500)]
    texts = ["N1 " * 200_000, "N2, " * 200_000]
    assert addressing(["N1", "N2"], texts, names) == (0, 0, 0)
    assert self_repetitions(["N1", "N1"], texts) in (0, 1)


@pytest.mark.parametrize(
    ("text", "language", "called"),
    [
        ("Hör mal, Ana, das geht so nicht.", "de", ["Ana"]),
        ("Danke Ana!", "de-AT", ["Ana"]),
        ("¡Ana, ven aquí!", "es", ["Ana"]),
        ("يا Ana تعالي", "ar", ["Ana"]),
        ("Anaさん、こちらへ。", "ja", ["Ana"]),
        ("Anaさんが来ました。", "ja", []),
        ("Hey Ana!", "tlh", []),
    ],
)
def test_who_is_called_depends_on_the_language(text: str, language: str, called: list[str]) -> None:
    assert list(called_in(text, ["Ana", "Bo"], language)) == called


def test_farewells_are_those_of_the_language() -> None:
    goodbyes = ["Tschüss, Ana!", "Bis morgen!", "Auf Wiedersehen."]
    assert longest_farewell(goodbyes, "de") == 3
    assert longest_farewell(goodbyes) == 0
