"""Courtesies, and texts that only begin like courtesies, clause by clause and at the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.methods.roleplay.thanks import is_thanks, says_done

THANKS = [
    "Thanks!",
    "thank you",
    "I really want to thank you.",
    "We truly thank you",
    "I'd like to thank you",
    "Much appreciated!",
    "I really appreciate it.",
    "You're very welcome!",
    "You are welcome",
    "You’re a real life saver!",
    "It was my pleasure.",
    "It's my pleasure",
    "No problem",
    "no worries!",
    "Anytime.",
    "Any time!",
    "I'm so glad I could help.",
    "We're happy to be of assistance.",
    "Happy to hear that",
    "Don't mention it",
    "Best of luck!",
    "Good luck with it.",
    "Goodbye!",
    "Good bye",
    "Bye now",
    "Farewell my friend",
    "See you later!",
    "See ya",
    "So long",
    "Take care!",
    "Take care of yourself",
    "Good night",
    "Talk to you soon.",
    "Until next time!",
    "See you next week",
    "I’d like to thank you.",
    "I hope you have a very nice day!",
    "Have an amazing trip.",
    "Have fun!",
]

ONLY_BESIDE_THANKS = [
    "That's it.",
    "You've been a great help.",
    "That was very helpful.",
    "You are so kind.",
    "For all of it.",
    "If you have any more questions.",
    "If you ever need anything else.",
    "Please feel free to ask.",
    "Don't hesitate.",
    "I'm always here.",
    "Great, understood.",
    "I have achieved my goal.",
]

NO_THANKS = [
    "Great.",
    "Of course, I see.",
    "Thanks to the rain it rose by 3 cm.",
    "Thank you to write 3 lines.",
    "See you in the list what is wrong.",
    "Take care of the commas.",
    "Write a note of thanks.",
    "Thanks, also name the river.",
    "Thanks, now write it again.",
    "Thanks. Please sort them.",
    "Thank you, but it is wrong.",
    "Thank you. The next one.",
    "Thank you! Next time write less.",
    "Thanks, tell me more.",
    "Thanks, could you go on.",
    "Thanks. Instead use a list.",
    "Thank you. The sky is blue.",
    "Thanks?",
    "",
    "...",
]


@pytest.mark.parametrize("text", THANKS)
def test_thanks_welcomes_and_goodbyes(text: str) -> None:
    for said in (text, text.upper(), f"Oh, well, {text}", f'"{text}"', f"Okay! {text}\n"):
        assert is_thanks(said), said


@pytest.mark.parametrize("text", ONLY_BESIDE_THANKS)
def test_what_goes_with_thanks_is_none_by_itself(text: str) -> None:
    assert not is_thanks(text)
    assert is_thanks(f"Thank you! {text}")
    assert is_thanks(f"Thanks - {text}")


@pytest.mark.parametrize("text", NO_THANKS)
def test_what_asks_or_tells_is_no_thanks(text: str) -> None:
    assert not is_thanks(text)


@pytest.mark.parametrize("say_on", ["Please do not worry.", "Now I know.", "Now we know."])
def test_please_and_now_may_stand_in_a_courtesy(say_on: str) -> None:
    assert is_thanks(f"Thank you! No problem {say_on}")
    assert not is_thanks(f"Thank you! No problem {say_on.split()[0]} change line 10.")


DONE = [
    "I have achieved my goal.",
    "We've met all of our goals",
    "I think that I finally reached the main goal",
    "I feel like I accomplished something really special",
    "Your advice has really helped me reach my goals!",
    "This helped me to complete everything.",
    "I now have everything I need.",
    "I got all the answers I wanted",
    "That's all we needed",
    "That was everything.",
    "That is all for now",
    "I'm done.",
    "I am all set now",
    "We're finished here",
    "My goal is met.",
    "Both goals have been accomplished!",
]

NOT_DONE = [
    "I have not achieved my goal.",
    "I reached the station.",
    "That is all wrong.",
    "I'm done with part one.",
    "My goal is met by the keeper.",
    "I have everything.",
    "I have achieved my goal, but go on.",
    "Could you say: I am done.",
    "I am done?",
    "Thanks!",
    "",
]


@pytest.mark.parametrize("text", DONE)
def test_a_speaker_that_is_done_says_so(text: str) -> None:
    for said in (text, text.upper(), f"Great, {text}", f"The sky is blue. {text}"):
        assert says_done(said), said
    assert not says_done(f"{text} Tell me more.")


@pytest.mark.parametrize("text", NOT_DONE)
def test_what_is_no_end(text: str) -> None:
    assert not says_done(text)


@given(st.integers(2, 60))
def test_more_than_forty_words_are_no_courtesy(words: int) -> None:
    thanks = " ".join(["thanks"] * words)
    assert is_thanks(thanks) == (words <= 40)
    assert says_done("I am done. " + " ".join(["so"] * (words - 2))) == (words + 1 <= 40)
