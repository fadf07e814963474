"""The addressee of a turn, and the turn to which it replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.interaction.addressing import Address, addresses
from convogen.interaction.analysis import analyse
from convogen.interaction.patterns import load_patterns
from convogen.interaction.utterances import read
from convogen.interaction.vocatives import called_in, named_in, names_of

EN = load_patterns("en")


def _found(*turns: tuple[str, str], people: tuple[str, ...] = ()) -> list[Address]:
    speakers, texts = [speaker for speaker, _ in turns], [text for _, text in turns]
    return addresses(speakers, texts, people, patterns=EN)


@pytest.mark.parametrize(
    ("text", "called", "mentioned"),
    [
        ("Mr. Banerjee, is this yours?", ["Mr. Banerjee"], []),
        ("I told Mr. Banerjee.", [], ["Mr. Banerjee"]),
        ("Thank you, doctor.", ["Dr. Okafor"], []),
        ("Did you see Ana's brother?", [], ["Ana"]),
        ("I like Ana, Ben, and Dr. Okafor.", [], ["Ana", "Ben", "Dr. Okafor"]),
        ("Ana and Ben, come here!", ["Ana", "Ben"], []),
        ("@Ana can you look", ["Ana"], []),
        ("Ben, the rope.", ["Ben"], []),
        ("Ana said so, Ben.", ["Ben"], ["Ana"]),
        ("Anaconda, banana", [], []),
        ("hope, will, may", [], []),
    ],
)
def test_a_name_is_a_call_or_a_mention(text: str, called: list[str], mentioned: list[str]) -> None:
    names = names_of(("Ana", "Ben", "Mr. Banerjee", "Dr. Okafor", "Hope", "Will"))
    found = named_in(read(text), names)
    assert (list(found.called), sorted(found.mentioned)) == (called, sorted(mentioned))


@pytest.mark.parametrize(
    ("text", "people", "language", "called"),
    [
        ("Jonas und Lena, kommt ihr?", ["Jonas", "Lena"], "de", ["Jonas", "Lena"]),
        ("Ich mag Jonas, Lena und Max.", ["Jonas", "Lena", "Max"], "de", []),
        ("Ich sah gestern Lena und Jonas.", ["Jonas", "Lena"], "de", []),
        ("Vielen Dank, Dr. Weber.", ["Dr. Weber", "Lena"], "de", ["Dr. Weber"]),
        ("@Lena kannst du mal schauen", ["Lena"], "de", ["Lena"]),
        ("صباح الخير أحمد، ما الجديد؟", ["أحمد"], "ar", ["أحمد"]),
        ("Boa tarde Tiago!", ["Tiago", "Ana"], "pt", ["Tiago"]),
        ("你好，王伟和李娜，请坐。", ["王伟", "李娜"], "zh", ["王伟", "李娜"]),
        ("王玮，你有空吗？", ["王伟", "王玮"], "zh", ["王玮"]),
        ("王玮，你有空吗？", ["王伟", "李娜"], "zh", []),
        ("田中さん、健太くん、こちらへ。", ["田中", "健太"], "ja", ["田中", "健太"]),
        ("रोहन और शर्मा जी, सुनिए।", ["रोहन", "शर्मा"], "hi", ["रोहन", "शर्मा"]),
        ("Anna, gyere ide!", ["Anna"], "hu", []),
    ],
)
def test_people_are_called_by_the_patterns_of_the_language(
    text: str, people: list[str], language: str, called: list[str]
) -> None:
    assert list(called_in(text, people, language)) == called


def test_who_is_called_in_a_conversation_depends_on_its_language() -> None:
    speakers, people = ["Ana", "Bo"], ["Ana", "Bo", "Cy"]
    for language, to in (("de", ("Cy",)), ("hu", ("Ana",))):
        found = analyse(speakers, ["…", "Cy, …"], people, language=language)
        assert found.addresses[1].to == to


def test_who_is_asked_answers_though_another_spoke_in_between() -> None:
    found = _found(
        ("Ana", "Who wants to come to the lake on Sunday?"),
        ("Ben", "I do."),
        ("Cy", "Count me in."),
    )
    assert found[2] == Address(("Ana",), everyone=False, reply_to=0, evidence="answers")


def test_an_opening_question_is_for_who_answers_unless_it_is_for_all() -> None:
    turns = [("Ana", "Is it still raining?"), ("Ben", "It is."), ("Cy", "Hm.")]
    assert _found(*turns)[0] == Address(("Ben",), False, None, "answered")
    turns[0] = ("Ana", "Is it still raining, everyone?")
    assert _found(*turns)[0].everyone


def test_who_is_spoken_of_is_not_addressed() -> None:
    found = _found(("Ana", "Let's go."), ("Ben", "It will rain."), ("Cy", "Ben's right."))
    assert found[2].to == ("Ana",)


def test_two_are_addressed_among_four() -> None:
    found = _found(
        ("Ana", "It's mine."),
        ("Ben", "No, mine."),
        ("Cy", "You two are impossible."),
        people=("Ana", "Ben", "Cy", "Dee"),
    )
    assert ({*found[2].to}, found[2].everyone) == ({"Ana", "Ben"}, False)


def test_stated_addressees_come_first() -> None:
    found = addresses(
        ["Ana", "Ben", "Cy"],
        ["Hello.", "Cy, hello.", "What?"],
        stated=[None, "Ana", "all"],
        patterns=EN,
    )
    assert [(one.to, one.evidence) for one in found[1:]] == [
        (("Ana",), "stated"),
        (("Ana", "Ben"), "stated"),
    ]


def test_without_patterns_names_and_order_decide() -> None:
    found = addresses(["Ana", "Ben", "Cy"], ["Hallo.", "Cy, hallo.", "Ja."])
    assert [one.to for one in found] == [("Ben", "Cy"), ("Cy",), ("Ben",)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["Ana", "Ben", "Dr. Cy", ""]), st.text(max_size=60)), max_size=8
    )
)
def test_any_conversation_has_addresses(turns: list[tuple[str, str]]) -> None:
    for index, (one, (speaker, _)) in enumerate(zip(_found(*turns), turns, strict=True)):
        assert speaker not in one.to
        assert one.reply_to is None or 0 <= one.reply_to < index
