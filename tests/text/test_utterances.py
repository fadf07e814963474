from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.tidying import without_label
from convogen.text.utterances import (
    is_farewell_loop,
    length_fault,
    loops,
    nearest_sentences,
    repeats,
    whole_sentences,
    word_runs,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("I saw it. It was a", "I saw it."),
        ('He said "no!" and I', 'He said "no!"'),
        ("no end in sight", "no end in sight"),
        ("Version 2.5 is", "Version 2.5 is"),
        ("Ask her. I saw Dr. Smi", "Ask her."),
        ("我看到了。那是一", "我看到了。"),
        ("你去吗?我也", "你去吗?"),
        ("मैं गया। वह एक", "मैं गया।"),
        ("هل ذهبت؟ نعم أنا", "هل ذهبت؟"),
        ("Ողջույն։ Ես եմ", "Ողջույն։"),
        ("ฉันไปแล้ว เธอ", "ฉันไปแล้ว"),
    ],
)
def test_a_reply_that_was_cut_off_ends_with_a_whole_sentence(text: str, whole: str) -> None:
    assert whole_sentences(text) == whole


def test_three_farewells_in_a_row_are_a_loop() -> None:
    talk = ["How are you?", "Bye now!", "See you tomorrow.", "Take care!"]
    assert is_farewell_loop(talk)
    assert not is_farewell_loop(talk[:3])
    assert not is_farewell_loop([*talk[:3], "Wait, your keys."])


def test_a_repetition_is_seen_whatever_its_punctuation_and_order() -> None:
    assert repeats("Well, I never saw it!", ["I never saw it, well..."])
    assert not repeats("I saw it yesterday.", ["Nobody told me about the boat."])


@pytest.mark.parametrize(
    ("words", "fault"), [(10, None), (14, None), (15, "too_long"), (5, "too_short")]
)
def test_a_length_may_be_off_by_two_fifths(words: int, fault: str | None) -> None:
    assert length_fault("word " * words, 10) == fault


def test_the_sentences_nearest_to_a_length_are_kept() -> None:
    assert nearest_sentences("One two. Three four five. Six.", 5) == "One two. Three four five."


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Summary: They met.", "They met."),
        ('**Summary:** "They met."', "They met."),
        ("They.", "They."),
    ],
)
def test_a_label_and_quotation_marks_are_taken_off(text: str, same: str) -> None:
    assert without_label(text, "Summary") == same


@pytest.mark.parametrize(
    ("text", "goes_round"),
    [
        ("no " * 10, True),
        ("I said no. I said no. I said no. I said no.", True),
        (
            "my hedge my sister my hedge sister hedge my sister hedge hedge my hedge my hedge",
            True,
        ),
        ("No, no, no.", False),
        ("Row, row, row your boat, gently down the aisle.", False),
        ("come home, come home, the lamp is lit, come home, come home, the lamp is lit", False),
    ],
)
def test_a_loop_is_the_same_words_again_and_again(text: str, goes_round: bool) -> None:
    assert loops(words_of(text)) is goes_round


def test_runs_of_words_do_not_depend_on_case_and_punctuation() -> None:
    assert word_runs(["Don’t: say, (this) AGAIN!"], 4) == {"don't say this again"}
    assert word_runs(["too short"]) == frozenset()


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert whole_sentences(text) in text
    assert repeats(text, [text]) or not any(c.isalnum() for c in text)
    assert isinstance(without_label(text, "Summary"), str)


@pytest.mark.parametrize(
    ("text", "words", "fault"),
    [
        ("我昨天去了图书馆借书", 6, None),
        ("我昨天去了图书馆借书", 20, "too_short"),
        ("明日の会議は何時からですか。資料を忘れないでください。", 4, "too_long"),
        ("ຂ້ອຍຢາກໄປກັບເຈົ້າທ້າຍອາທິດນີ້", 8, None),
        ("ຂ້ອຍຢາກໄປກັບເຈົ້າທ້າຍອາທິດນີ້", 30, "too_short"),
        ("Я иду домой", 3, None),
    ],
)
def test_a_length_in_words_is_checked_in_every_script(
    text: str, words: int, fault: str | None
) -> None:
    assert length_fault(text, words) == fault


def test_repetition_tells_words_that_differ_in_their_vowel_signs_apart() -> None:
    assert not repeats("काला कुत्ता", ["केले कीते"])
    assert words_of("क्या हुआ") == ["क्या", "हुआ"]


def test_the_sentences_nearest_to_a_length_are_whole_in_chinese() -> None:
    assert nearest_sentences("我去买书。你要不要一起去？我们明天再说吧。", 8) == (
        "我去买书。你要不要一起去？"
    )
