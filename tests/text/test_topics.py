"""Checks of people who type to a chatbot: copied words, and the topic of an utterance."""

from __future__ import annotations

import pytest

from convogen.text.topics import deviates, echoes
from convogen.text.turn_checks import Scene, read_typed

SCENE = Scene("user", ("assistant", "chatbot", "AI"))

PERSONS = [
    "no that's wrong, try again",
    "Here is my code, please mend it: for i in range(3)",
    "what could you do as an AI?",
    "I can't help laughing at this one",
    "thanks! can you make it shorter?",
    "Sure, but why does it need two keys",
    '{"a": 1} is this valid json?',
    "1. fix the title\n2. make it bold",
    "*sighs* that is not what I asked",
]


@pytest.mark.parametrize("text", PERSONS)
def test_persons_are_left_alone(text: str) -> None:
    said = read_typed(text, SCENE)
    assert (said.text, said.tidied, said.fault) == (text, (), None)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't pretend to be a human user.",
        "I am unable to simulate this conversation.",
        "I won’t continue this dialogue.",
    ],
)
def test_a_refusal_to_play(text: str) -> None:
    assert read_typed(text, SCENE).fault == "refusal"


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
    assert read_typed(text, SCENE).fault == "assistant_offer"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty_reply"),
        ("assistant: Use copper tape.", "other_speaker"),
        ("does it work?\nAI: It does.", "other_speaker"),
        ("Below is my next message:\nhow much is it?", "note"),
    ],
)
def test_what_is_not_typed_by_a_person(text: str, fault: str) -> None:
    assert read_typed(text, SCENE).fault == fault


def test_label_thinking_and_tokens_are_tidied() -> None:
    said = read_typed('<think>short</think>User: "how often?"<|eot_id|>', SCENE)
    assert said.text == "how often?"
    assert set(said.tidied) == {"thinking", "label", "quotes", "template_tokens"}


def test_an_answer_handed_back_is_an_echo_and_a_quotation_is_none() -> None:
    answer = "Copper tape around the bed keeps slugs away even when it is raining all night"
    assert echoes(f"{answer}.", ["Hello", answer])
    assert read_typed(f"{answer}.", Scene("user", (), ["Hello", answer])).fault == "echo"
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
