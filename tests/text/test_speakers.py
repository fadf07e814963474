from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.text.speakers import (
    MOST_CHARS,
    agent_keys,
    longest_silent,
    person_named,
    resolve_speaker,
    silence,
    tidy_name,
)


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


PEOPLE = ["Dr. Amara Okafor", "Ben Wills", "Mrs. Edna Ray", "Mr. Tom Hill", "Coach Diaz"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Ben Wills", "Ben Wills"),
        ("Dr. Ben Wills", "Ben Wills"),
        ("Dr. Wills", "Ben Wills"),
        ("Mrs. Hill", "Mr. Tom Hill"),
        ("okafor", "Dr. Amara Okafor"),
        ("Doctor Okafor", "Dr. Amara Okafor"),
        ("Amara", "Dr. Amara Okafor"),
        ("the coach", None),
        ("Coach", "Coach Diaz"),
        ("Ben  Wills\u200b", "Ben Wills"),
        ("Ben the baker", "Ben Wills"),
        ("Ben's mother", None),
        ("Zoe Hill", None),
        ("Mr.", "Mr. Tom Hill"),
        ("", None),
    ],
)
def test_a_title_is_no_name_and_a_name_may_be_part_of_one(said: str, meant: str | None) -> None:
    assert person_named(said, PEOPLE) == meant


@pytest.mark.parametrize(
    ("said", "names", "meant"),
    [
        ("Mrs. Hill", ["Mrs. Edna Hill", "Mr. Tom Hill"], "Mrs. Edna Hill"),
        ("Hill", ["Mrs. Edna Hill", "Mr. Tom Hill"], None),
        ("Ann Lee", ["Ann Smith", "Bo Lee"], "Ann Smith"),
        ("Lee", ["Tom Lee", "Lee Ann"], "Lee Ann"),
        ("JOSE", ["José Gil", "Ann"], "José Gil"),
        ("Jose\u0301 Gil", ["José Gil", "Jose Gil"], "José Gil"),
        ("Don", ["Don Draper", "Ann"], "Don Draper"),
        ("-", ["-", ":"], "-"),
        (":", ["-", "Ann"], None),
    ],
)
def test_a_name_that_several_have_means_none_of_them(
    said: str, names: list[str], meant: str | None
) -> None:
    assert person_named(said, names) == meant


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ("Dr. Wills should answer.", "Ben Wills"),
        ("I think Mrs. Ray, not any Hill.", "Mrs. Edna Ray"),
        ("Zoe Hill has spoken.", None),
        ("Dr. Smith asked, and Ben has not answered.", "Ben Wills"),
        ("Coach should answer.", "Coach Diaz"),
        ("Coach Carter should answer.", None),
    ],
)
def test_a_last_name_among_other_words_counts_after_a_title(reply: str, chosen: str | None) -> None:
    assert resolve_speaker(reply, {name: name for name in PEOPLE}) == chosen


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ('{"last": "Bo Li", "next": "Ann Lee"}', "Ann Lee"),
        ('{"reason": "Bo", "speaker": "Ann Lee"}', "Ann Lee"),
        ('{"last_speaker": "Bo Li", "next_speaker": "Ann Lee"}', "Ann Lee"),
        ('{"speaker": {"name": "Ann Lee", "reason": "Bo"}}', "Ann Lee"),
        ('{"speakers": ["Ann Lee"], "reason": "Bo"}', "Ann Lee"),
        ('```json\n{\n  "reason": "Bo Li",\n  "name": "Ann Lee"\n}\n```', "Ann Lee"),
        (json.dumps({"speaker": "José Gil"}), "José Gil"),
        (json.dumps({"speaker": "𝔇an 🙂", "reason": "Bo"}), "𝔇an 🙂"),
        ("{'speaker': 'Ann Lee', 'reason': 'Bo just spoke'}", "Ann Lee"),
        ("{'speaker': 'Tim O\\'Hara', 'reason': 'Bo'}", "Tim O'Hara"),
        ('{"next": "It is Ann\'s turn, so Ann Lee", "last": "Bo Li"}', "Ann Lee"),
        ("Reason: Bo has spoken\nNext speaker: **Ann Lee**", "Ann Lee"),
        ('{"speaker": "\\ud83d", "reason": "Bo"}', "Bo Li"),
        ('{"speaker": "", "reason": "Bo"}', "Bo Li"),
    ],
)
def test_of_json_the_value_that_is_asked_for_decides(reply: str, chosen: str) -> None:
    names = ["Ann Lee", "Bo Li", "José Gil", "𝔇an 🙂", "Tim O'Hara"]
    assert resolve_speaker(reply, {name: name for name in names}) == chosen


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ("Bo asked Ann.\nAnn Lee\n**José**", "José Gil"),
        ("Bo Li\nbecause\nAnn", "Bo Li"),
        ("Bo or Ann?\nBo has spoken a lot.\nSo Ann it is.\nYes.", "Ann Lee"),
        ("Let me think.\nBo has spoken a lot.\nSo Ann it is.", "Ann Lee"),
        ("Bo should speak.\nAnn spoke before.", "Bo Li"),
        (f"Bo or Ann? {'Well. ' * MOST_CHARS}Ann Lee", "Ann Lee"),
        (f"Bo or Ann? {'Well. ' * MOST_CHARS}\nAnn Lee", "Ann Lee"),
    ],
)
def test_which_of_several_lines_decides(reply: str, chosen: str) -> None:
    candidates = {name: name for name in ("Ann Lee", "Bo Li", "José Gil")}
    assert resolve_speaker(reply, candidates) == chosen


def test_in_korean_a_particle_follows_a_name_without_a_space() -> None:
    candidates = {"a": "김민수", "b": "이영희"}
    assert resolve_speaker("다음은 김민수입니다", candidates) == "a"
    assert resolve_speaker("다음은 이 영희입니다", {"a": "김 민수", "b": "이 영희"}) == "b"


@pytest.mark.parametrize("part", ["!", "\n", '{"a": "', "mr ", "- ", "next: ", " ", "'", "{"])
def test_no_reply_takes_long_to_read(part: str) -> None:
    candidates = {name: name for name in [*PEOPLE, "Ann Lee", "Bo Li", "José Gil"]}
    start = time.process_time()
    resolve_speaker(part * 20_000 + "a", candidates)
    assert time.process_time() - start < 3


def test_a_name_is_compared_without_what_is_not_seen() -> None:
    assert tidy_name(" Jose\u0301\u200b\tde\u00a0 la  Paz\ufeff") == "José de la Paz"


def test_how_long_somebody_has_been_silent_is_counted_in_turns() -> None:
    assert [silence(name, ["a", "b", "a"]) for name in ("a", "b", "c")] == [0, 1, None]


SAYINGS = st.one_of(
    st.text(), st.text("\"'{}[]:,\\\n_ nextspakrm1."), st.text().map(lambda t: f"next: '{t}'")
)


@given(SAYINGS, st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5, unique=True))
def test_whatever_a_selector_says_one_candidate_or_none_is_meant(
    reply: str, names: list[str]
) -> None:
    keys = agent_keys(names)
    assert resolve_speaker(reply, keys) in {None, *keys}
