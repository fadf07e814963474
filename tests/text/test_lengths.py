"""Lengths are stated in words; only strings that a bound in characters cut off are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from convogen.text.lengths import Words, bounded_texts, cut_texts, is_cut, lacks_end, trimmed

WORDS = st.text("abcdefghij", min_size=1, max_size=9)
SENTENCES = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)


class Thing(BaseModel):
    label: str = Words(3).field("a label")


class Whole(BaseModel):
    title: str = Words(4).field("a title")
    things: list[Thing]
    note: str | None = None


@given(st.integers(1, 400))
def test_a_bound_leaves_more_than_twice_the_room_of_the_words(most: int) -> None:
    words = Words(most)
    assert 2 * 6.5 * most < words.max_chars <= 3 * 6.5 * most + 10
    assert words.max_chars % 10 == 0
    assert Words.within(words.max_chars).most == most


def test_a_prompt_and_a_schema_state_the_same_length() -> None:
    assert (str(Words(20)), str(Words(45, least=20))) == ("at most 20 words", "20 to 45 words")
    title = Whole.model_json_schema()["properties"]["title"]
    assert title["description"] == "a title (at most 4 words)"
    assert title["maxLength"] == Words(4).max_chars
    Whole(title="x" * 2000, things=[])  # people write files by hand


@pytest.mark.parametrize(
    "text",
    [
        *("too shy to ask the co", "the year 1984", "first,", "they ask:", "and then –", "a — "),
        *('he said "', "so-called ‘", "(", "don’", "don'", "लड़की", "他们去了商", "naïve café"),
    ],
)
def test_what_lacks_an_end(text: str) -> None:
    assert lacks_end(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Home. ", "Home!", "Home?", "Home…", "Home?!", "回家。", "घर।", "كيف؟", "Well... "),
        *('He said "home"', "(at home)", "“Home”", "«Home»", "'Home.'", "‘Home!’", "Home ☕", "♥️"),
    ],
)
def test_what_has_an_end(text: str) -> None:
    assert not lacks_end(text)


@given(text=SENTENCES, max_chars=st.integers(2, 200))
def test_a_text_that_a_bound_ended_within_a_word_is_found(text: str, max_chars: int) -> None:
    cut = text[:max_chars]
    assert is_cut(cut, max_chars) == (len(text) >= max_chars - 1)


@given(text=st.text(max_size=80), room=st.integers(2, 40))
def test_a_text_within_its_bound_is_never_refused(text: str, room: int) -> None:
    assert not is_cut(text, len(text) + room)
    assert not is_cut(f"{text}.", len(text) + 1)


@given(st.one_of(SENTENCES, st.text(max_size=80), st.text("ab .!?,'\"—(’。", max_size=30)))
def test_what_is_trimmed_ends_as_a_sentence_or_is_empty(text: str) -> None:
    kept = trimmed(text)
    assert not lacks_end(kept)
    assert text.lstrip().startswith(kept.removesuffix(".")) or not kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It holds. It goes on and on unti", "It holds."),
        ("She went to see Dr. Lee. Then she", "She went to see Dr. Lee."),
        ("She went to see Dr. L", "She went to see Dr."),
        ("too shy to ask the co", "too shy to ask the."),
        ("too shy, but wh", "too shy, but."),
        ("too shy, wh", "too shy."),
        ("他们去了。然后回", "他们去了。"),
        ("Supercalifragilistic", ""),
        ("", ""),
    ],
)
def test_a_text_is_trimmed_to_what_is_whole(text: str, kept: str) -> None:
    assert trimmed(text) == kept


def test_a_name_gets_no_full_stop() -> None:
    assert trimmed("Ada Wilhelmina Mont", stop="") == "Ada Wilhelmina"


def test_texts_are_found_wherever_a_schema_has_them() -> None:
    schema = Whole.model_json_schema()
    data = {"things": [{"label": "a" * 50}, {"label": "b"}, 7], "note": "n", "else": "x" * 70}
    data |= {"title": "t" * 69}
    found = {one.path: one.max_chars for one in bounded_texts(data, schema)}
    assert found == {
        ("things", 0, "label"): 50,
        ("things", 1, "label"): 50,
        ("note",): None,
        ("title",): 70,
    }
    cut = cut_texts(data, schema)
    assert [one.path for one in cut] == [("things", 0, "label"), ("title",)]
    assert cut[0].complaint() == (
        "things.0.label: it was cut off at 50 characters; say it in at most 3 words"
    )


def test_the_last_text_of_a_reply_that_ended_for_its_length_is_cut_if_it_lacks_an_end() -> None:
    schema = Whole.model_json_schema()
    data = {"title": "A title", "things": [], "note": "and so we wen"}
    assert cut_texts(data, schema) == []
    [cut] = cut_texts(data, schema, "length")
    assert cut.complaint() == "note: it was cut off; say it in fewer words"
    assert cut_texts(data | {"note": "And so we went."}, schema, "length") == []
    assert cut_texts([], schema, "length") == []


def test_a_choice_is_no_text() -> None:
    schema = {"type": "string", "enum": ["abc"], "maxLength": 3}
    assert cut_texts("abc", schema) == []
