from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.objects import NoObject, find_object, is_blank_loop

WHOLE = {"personas": [{"name": "Ann"}, {"name": "Bo"}], "topic": 'a {brace} and a " quote'}
KEYS = ["personas", "topic"]

TEXTS = st.text(alphabet='ab{}[]",:\\\n\t é', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


@pytest.mark.parametrize(
    "reply",
    [
        "{}",
        "Here it is:\n```json\n{}\n```\nEnjoy!",
        "In the form {name}: {}",
        "[{}]",
        "{} and {}",
    ],
)
def test_an_object_is_found_with_prose_around_it(reply: str) -> None:
    said = json.dumps(WHOLE)
    assert find_object(reply.replace("{}", said), KEYS) == WHOLE


@pytest.mark.parametrize(
    "reply",
    [
        '{"personas": [{"name": "Ann"}, {"name": "Bo"',
        '{"personas": [{"name": "Ann"}], "topic": "tea',
        '{"personas": [{"name": "Ann"}], "topic": "tea"',
        '{"personas": [{"name": "Ann"}],',
        '{"experience": {"personas": [], "topic": "tea"}',
        '{personas: [{"name": "Ann"}], topic: ',
        'Sure! {"a": {"personas": [], "topic": "tea"}, "b": "',
    ],
)
def test_nothing_within_an_object_that_is_cut_off_is_the_answer(reply: str) -> None:
    with pytest.raises(NoObject) as caught:
        find_object(reply, KEYS)
    assert caught.value.unclosed


@pytest.mark.parametrize(
    "reply",
    [
        '{"personas": [{"name": "Ann"} {"name": "Bo"}], "topic": "tea"}',
        '{personas: [{"name": "Ann"}], topic: \'tea\'}',
        '{"topic": "he said "no", he did", "personas": [{"topic": "x"}]}',
        '{"topic": {"personas": 1},, "personas": 2}',
    ],
)
def test_nothing_within_an_object_that_is_broken_is_the_answer(reply: str) -> None:
    with pytest.raises(NoObject) as caught:
        find_object(reply, KEYS)
    assert not caught.value.unclosed


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ('{"a": [1, 2,], "b": {"c": 3,},}', {"a": [1, 2], "b": {"c": 3}}),
        ('{"a": 1 ,\n }', {"a": 1}),
        ('{"a": "one,]\ntwo,}", }', {"a": "one,]\ntwo,}"}),
        ('{"a": "one\ttwo\nthree"}', {"a": "one\ttwo\nthree"}),
        ('{"a": "\\",}", }', {"a": '",}'}),
    ],
)
def test_trailing_commas_and_raw_line_breaks_are_read(reply: str, read: dict[str, Any]) -> None:
    assert find_object(reply) == read


@pytest.mark.parametrize(
    "found",
    [
        {"experience": WHOLE},
        {"result": {"experience": WHOLE}},
        {"experiences": [WHOLE]},
        {"": WHOLE},
    ],
)
def test_an_object_in_a_wrapping_key_is_unwrapped(found: dict[str, Any]) -> None:
    assert find_object(json.dumps(found), KEYS) == WHOLE


@pytest.mark.parametrize(
    "found",
    [
        {"topic": WHOLE},
        {"experience": WHOLE, "notes": "none"},
        {"experiences": [WHOLE, WHOLE]},
        {"experience": {"name": "Ann"}},
        {"a": {"b": {"c": {"d": WHOLE}}}},
        {"experience": "text"},
        {},
    ],
)
def test_nothing_else_is_unwrapped(found: dict[str, Any]) -> None:
    assert find_object(json.dumps(found), KEYS) == found


def test_without_keys_nothing_is_unwrapped() -> None:
    assert find_object(json.dumps({"experience": WHOLE})) == {"experience": WHOLE}


@given(OBJECTS, st.booleans())
def test_what_is_whole_is_read_as_it_is(whole: dict[str, Any], ascii_only: bool) -> None:
    assert find_object(json.dumps(whole, ensure_ascii=ascii_only)) == whole


@given(OBJECTS, st.text(alphabet="ab[]\",:' \n", max_size=8), st.data())
def test_a_cut_off_object_is_never_taken_for_a_whole_one(
    whole: dict[str, Any], before: str, data: st.DataObject
) -> None:
    said = json.dumps(whole, indent=data.draw(st.sampled_from([None, 1])))
    cut = data.draw(st.integers(1, len(said) - 1))
    with pytest.raises(NoObject):
        find_object(before + said[:cut])


@given(OBJECTS, st.data())
def test_a_cut_off_wrapper_is_never_unwrapped(whole: dict[str, Any], data: st.DataObject) -> None:
    said = json.dumps({"experience": {"topic": 1, **whole}})
    cut = data.draw(st.integers(1, len(said) - 1))
    with pytest.raises(NoObject):
        find_object(said[:cut], ["topic"])


@given(OBJECTS, st.text(alphabet=" \n\t", max_size=3))
def test_commas_before_a_closing_bracket_change_nothing(whole: dict[str, Any], gap: str) -> None:
    """This holds wherever a bracket closes something that is not empty, except within strings."""

    def write(value: Any) -> str:
        if isinstance(value, dict):
            items = [f"{json.dumps(key)}: {write(item)}" for key, item in value.items()]
        elif isinstance(value, list):
            items = [write(item) for item in value]
        else:
            return json.dumps(value)
        ends = "{}" if isinstance(value, dict) else "[]"
        comma = f",{gap}" if items else ""
        return ends[0] + ", ".join(items) + comma + ends[1]

    assert find_object(write(whole)) == whole


@given(st.text(alphabet='{}[]",:\\ab \n', max_size=60))
def test_any_text_holds_an_object_or_none(text: str) -> None:
    try:
        found = find_object(text, KEYS)
    except NoObject:
        return
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    "reply",
    [
        '{"a": ' * 30_000,
        "{" * 200_000,
        '{"' + '\\"' * 100_000,
        "{" + ", " * 100_000 + "}",
        '{"a": "' + "\\" * 200_000,
        "{} " * 60_000 + "{" * 1000,
        "{x} " * 50_000,
        "{" + " " * 200_000 + "}",
        '{"a": 1' + "0" * 10_000 + "}",
    ],
    ids=range(9),
)
def test_hostile_replies_take_no_longer_than_their_length(reply: str) -> None:
    with contextlib.suppress(NoObject):
        assert find_object(reply, KEYS) == {}


def test_white_space_without_end_is_told_from_a_blank_line() -> None:
    assert is_blank_loop('{"a": 1,' + "\n" * 300)
    assert is_blank_loop(" \t" * 300)
    assert is_blank_loop('{"a": "one' + r"\n" * 300)
    assert is_blank_loop('{"a": "one' + r" \t" * 300 + "\\")
    assert not is_blank_loop("turn" * 300)
    assert not is_blank_loop('{"a": 1}\n\n\n')
    assert not is_blank_loop("")
