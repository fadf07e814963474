"""What is wrong with what a model says in a person's place, told from what persons say."""

from __future__ import annotations

import pytest

from convogen.simulating import deviates, echoes, flips_role, refuses

PERSONS = [
    "no that's wrong, try again",
    "Here is my code, please mend it: for i in range(3)",
    "what could you do as an AI?",
    "I can't help laughing at this one",
    "thanks! can you make it shorter?",
    "Sure, but why does it need two keys",
]


@pytest.mark.parametrize("text", PERSONS)
def test_persons_are_left_alone(text: str) -> None:
    assert not refuses(text)
    assert not flips_role(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't pretend to be a human user.",
        "I am unable to simulate this conversation.",
        "I won’t continue this dialogue.",
    ],
)
def test_a_refusal_to_play(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello there! How can I help you today?",
        "As an AI language model, I have no opinion.",
        "Certainly! Slugs hate copper.",
        "To keep slugs away, you'll need copper tape.",
        "You want to keep slugs off your lettuce.",
        "Use copper tape. Let me know if you have any other questions!",
    ],
)
def test_talking_as_the_chatbot(text: str) -> None:
    assert flips_role(text)


def test_an_answer_handed_back_is_an_echo_and_a_quotation_is_none() -> None:
    answer = "Copper tape around the bed keeps slugs away even when it is raining all night"
    assert echoes(f"{answer}.", ["Hello", answer])
    assert not echoes(
        f"you said it keeps slugs away, but does {answer.split()[-1]} matter", [answer]
    )
    assert not echoes("copper tape?", ["copper tape?"])


TASK = "You want to keep slugs off your lettuce."


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("Which orchestra recorded Mahler's fifth symphony?", True),
        ("does copper harm my lettuces too?", False),
        ("why?", False),
        ("and then what would you do", False),
        ("", False),
    ],
)
def test_leaving_the_topic(text: str, off: bool) -> None:
    assert deviates(text, [TASK, "How do I keep them away?"]) is off


def test_what_was_said_before_is_the_topic_too() -> None:
    assert not deviates("Which symphony did Mahler write first?", [TASK, "I like Mahler."])
