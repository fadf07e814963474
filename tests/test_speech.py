from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen import speech


@pytest.mark.parametrize(
    ("reply", "tidied"),
    [
        ("Rosa Delgado: Good morning.", "Good morning."),
        ("rosa: Good morning.", "Good morning."),
        ("**Rosa:** Good morning.", "Good morning."),
        ('"Good morning."', "Good morning."),
        ("“Good morning.”", "Good morning."),
        ('"Yes," he said, "no."', '"Yes," he said, "no."'),
        ("  Rosary beads: where?  ", "Rosary beads: where?"),
        ("", ""),
    ],
)
def test_tidy_takes_away_the_name_and_the_quotation_marks(reply: str, tidied: str) -> None:
    assert speech.tidy(reply, "Rosa Delgado") == tidied


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("I see.\nTom: And then?", "I see."),
        ("I see.\n**Tom Whitlock**: And then?", "I see."),
        ("Tom: And then?", ""),
        ("I told Tom: stop it.", "I told Tom: stop it."),
        ("Two lines\nof mine", "Two lines\nof mine"),
    ],
)
def test_spoken_part_ends_where_another_is_made_to_speak(text: str, own: str) -> None:
    assert speech.spoken_part(text, ["Tom Whitlock", "Ken"]) == own


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("I saw it. It was a", "I saw it."),
        ('He said "no!" and I', 'He said "no!"'),
        ("no end in sight", "no end in sight"),
        ("Version 2.5 is", "Version 2.5 is"),
    ],
)
def test_a_reply_that_was_cut_off_ends_with_a_whole_sentence(text: str, whole: str) -> None:
    assert speech.whole_sentences(text) == whole


@pytest.mark.parametrize(
    "text",
    ["As an AI language model, I cannot", "I'm just a language model.", "I can't roleplay that."],
)
def test_breaking_the_role_is_seen(text: str) -> None:
    assert speech.breaks_role(text)


@pytest.mark.parametrize(
    "text", ["Aida is as an aide to me.", "My airline is late.", "I am a nurse."]
)
def test_ordinary_talk_does_not_break_the_role(text: str) -> None:
    assert not speech.breaks_role(text)


def test_three_farewells_in_a_row_are_a_loop() -> None:
    talk = ["How are you?", "Bye now!", "See you tomorrow.", "Take care!"]
    assert speech.is_farewell_loop(talk)
    assert not speech.is_farewell_loop(talk[:3])
    assert not speech.is_farewell_loop([*talk[:3], "Wait, your keys."])


def test_a_repetition_is_seen_whatever_its_punctuation_and_order() -> None:
    assert speech.repeats("Well, I never saw it!", ["I never saw it, well..."])
    assert not speech.repeats("I saw it yesterday.", ["Nobody told me about the boat."])


@given(st.text(), st.text(max_size=20), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_is_taken_and_nothing_is_invented(
    reply: str, speaker: str, others: list[str]
) -> None:
    text = speech.spoken_part(speech.tidy(reply, speaker), others)
    assert text in reply
    assert speech.whole_sentences(text) in text
    assert speech.repeats(reply, [reply]) or not any(c.isalnum() or c == "_" for c in reply)
