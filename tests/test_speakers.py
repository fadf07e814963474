from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.speakers import agent_keys, longest_silent, resolve_speaker, silence


def test_names_of_all_scripts_stay_readable() -> None:
    names = ["Łukasz Wrona", "Zoë", "李雷", "محمد", "🙂", "user", "Zoe"]
    assert list(agent_keys(names)) == [
        "Lukasz_Wrona",
        "Zoe",
        "LiLei",
        "mhmd",
        "slight_smile",
        "Person_6",
        "Zoe_7",
    ]


def test_the_longest_silent_is_who_never_spoke_then_who_spoke_longest_ago() -> None:
    assert longest_silent(["a", "b", "c"], ["c", "a"]) == "b"
    assert longest_silent(["a", "c"], ["c", "a"]) == "c"
    assert longest_silent(["a", "b"], []) == "a"


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=8, unique=True))
def test_any_names_get_ascii_identifiers_of_their_own(names: list[str]) -> None:
    keys = agent_keys(names)
    assert list(keys.values()) == names
    assert all(key.isascii() and key.isidentifier() for key in keys)
    assert len({key.casefold() for key in keys}) == len(keys) or len(keys) == len(names)


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ("Rosa_Delgado", "Rosa_Delgado"),
        ("rosa delgado", "Rosa_Delgado"),
        ("I think **Rosa** should speak.", "Rosa_Delgado"),
        ("李雷", "Person_3"),
        ("我觉得李雷应该说话", "Person_3"),
        ("Tom\nbecause Rosa spoke", "Tom_Whitlock"),
        ("Rosa asked, and Tom has not answered.\n\n**Tom Whitlock**", "Tom_Whitlock"),
        ('{"speaker": "Tom Whitlock", "reason": "Rosa asked him"}', "Tom_Whitlock"),
        ("1. Rosa Delgado.", "Rosa_Delgado"),
        ("RÓSA DELGADÓ", "Rosa_Delgado"),
        ("Next: tom whitlock", "Tom_Whitlock"),
        ("Rosa or Tom", None),
        ("nobody", None),
        ("", None),
        ("Rosalind", None),
    ],
)
def test_a_selectors_reply_is_resolved(reply: str, chosen: str | None) -> None:
    candidates = {
        "Rosa_Delgado": "Rosa Delgado",
        "Tom_Whitlock": "Tom Whitlock",
        "Person_3": "李雷",
    }
    assert resolve_speaker(reply, candidates) == chosen


def test_a_first_name_that_two_share_names_nobody_and_a_name_within_another_counts_once() -> None:
    candidates = {"a": "Ana Ruiz", "b": "Ana Maria Ruiz", "c": "Ben"}
    assert resolve_speaker("Ana", candidates) is None
    assert resolve_speaker("I would say Ana Maria Ruiz.", candidates) == "b"
    assert resolve_speaker("ana ruiz", candidates) == "a"


def test_how_long_somebody_has_been_silent_is_counted_in_turns() -> None:
    assert [silence(name, ["a", "b", "a"]) for name in ("a", "b", "c")] == [0, 1, None]


@given(st.text(), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5, unique=True))
def test_whatever_a_selector_says_one_candidate_or_none_is_meant(
    reply: str, names: list[str]
) -> None:
    keys = agent_keys(names)
    assert resolve_speaker(reply, keys) in {None, *keys}
