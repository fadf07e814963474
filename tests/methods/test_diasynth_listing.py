"""Lists from a model: the entries that are read or left out, and the cases in which the model
must retry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sessions import scripted_session

from convogen.errors import ModelFault
from convogen.methods.diasynth.listing import Lister, PlanStep
from convogen.methods.diasynth.method import DiaSynth
from convogen.models.base import Request, Sampling
from convogen.records import Persona


class Asked:
    """The result of requesting a list with these replies in turn, with the model's prompts in
    `prompts`."""

    def __init__(self, folder: Path, replies: Sequence[Any], **settings: Any) -> None:
        self._folder = folder
        self._replies = iter(replies)
        self.prompts: list[str] = []
        prompts = DiaSynth().prompts({})
        chosen = {"similarity": "token_sort", "near_copy": 0.8, "tries": 3} | settings
        self._lister = Lister(prompts["subtopics"], prompts["personas"], **chosen)

    def _script(self, request: Request) -> str:
        self.prompts.append(request.messages[-1].content)
        reply = next(self._replies)
        key = "personas" if reply and isinstance(reply[0], dict) else "subtopics"
        return reply if isinstance(reply, str) else json.dumps({key: reply})

    def subtopics(self, n: int, known: Sequence[str] = (), topic: str = "Gardens") -> PlanStep:
        async def ask() -> PlanStep:
            session = scripted_session(self._folder, {"planner": Sampling()}, self._script)
            return await self._lister.subtopics(session, topic, known, n)

        return asyncio.run(ask())

    def personas(self, n: int, known: Sequence[Persona] = ()) -> PlanStep:
        async def ask() -> PlanStep:
            session = scripted_session(self._folder, {"planner": Sampling()}, self._script)
            return await self._lister.personas(session, "Tea", "Cups", known, n)

        return asyncio.run(ask())


def counts(step: PlanStep) -> tuple[int, int, int]:
    return step.requests, step.near_copies, step.unusable


def test_entries_are_tidied_and_those_that_name_nothing_are_counted(tmp_path: Path) -> None:
    """Twelve words make a subtopic, but thirteen do not."""
    twelve = "one two three four five six seven eight nine ten eleven"
    asked = Asked(
        tmp_path,
        [
            ["1. Old   trees.", "2) “Salt, again”", "• bees -", "3 wishes", f"{twelve} twelve"],
            [f"{twelve} twelve thirteen", "1234", "- - -", "*'Rails'*"],
        ],
    )
    found = asked.subtopics(6)
    assert found.subtopics == [
        *("Old trees", "Salt, again", "bees", "3 wishes"),
        f"{twelve} twelve",
        "Rails",
    ]
    assert counts(found) == (2, 0, 3)
    assert found.personas is None


@pytest.mark.parametrize(("near_copy", "copies"), [(0.79, 1), (0.8, 1), (0.81, 0)])
def test_a_similarity_of_exactly_the_limit_is_a_near_copy(
    near_copy: float, copies: int, tmp_path: Path
) -> None:
    """8 of 10 letters are the same and in the same order: 2 × 8 / (10 + 10)."""
    asked = Asked(tmp_path, [["AAAAAAAABB", "aaaaaaaacc"]], near_copy=near_copy, tries=1)
    found = asked.subtopics(2)
    assert len(found.subtopics or ()) == 2 - copies
    assert counts(found) == (1, copies, 0)


def test_nothing_is_asked_or_counted_once_the_list_is_full(tmp_path: Path) -> None:
    asked = Asked(tmp_path, [["Old trees", "Salt", "old trees", "...", "Bees"]])
    found = asked.subtopics(2)
    assert found.subtopics == ["Old trees", "Salt"]
    assert counts(found) == (1, 0, 0)


def test_a_list_that_stays_short_is_taken_after_the_last_try(tmp_path: Path) -> None:
    asked = Asked(tmp_path, [["Old trees"], "no object", ["TREES, old", "Salt"]])
    found = asked.subtopics(4)
    assert found.subtopics == ["Old trees", "Salt"]
    assert counts(found) == (3, 1, 1)
    missing = [prompt.split("subtopic")[0].split()[-1] for prompt in asked.prompts]
    assert missing == ["4", "3", "3"]


def test_what_is_known_is_shown_unless_a_reply_only_copied_it(tmp_path: Path) -> None:
    asked = Asked(tmp_path, [["salt", "SALT"], ["Bees"], ["Old trees"], ["Rails"]], tries=4)
    found = asked.subtopics(3, known=["Salt"])
    assert found.subtopics == ["Bees", "Old trees", "Rails"]
    assert counts(found) == (4, 2, 0)
    assert ["- Salt" in prompt for prompt in asked.prompts] == [True, False, True, True]
    assert ["- Bees" in prompt for prompt in asked.prompts] == [False, False, True, True]


@pytest.mark.parametrize(
    ("similarity", "near_copy", "taken"),
    [
        ("token_sort", 0.9, True),
        ("token_sort", 0.8, False),
        ("token_sort", 0.5, False),
        ("rouge_l", 0.5, False),  # the limit for the topic itself is still 0.8
        ("rouge_l", 0.9, True),
    ],
)
def test_a_subtopic_is_held_against_the_topic_by_all_words(
    similarity: str, near_copy: float, taken: bool, tmp_path: Path
) -> None:
    """The similarity is 2 × 8 / (10 + 10) again."""
    asked = Asked(
        tmp_path, [["Aaaaaaaacc", "Something else"]], similarity=similarity, near_copy=near_copy
    )
    found = asked.subtopics(1, topic="aaaaaaaabb")
    assert found.subtopics == (["Aaaaaaaacc"] if taken else ["Something else"])
    assert found.near_copies == (not taken)


def test_with_rouge_l_a_subtopic_may_share_words_with_the_topic(tmp_path: Path) -> None:
    """ROUGE-L is 2 × 2 / (2 + 4) = 0.67, which is above the limit for lists but below the
    topic's 0.8."""
    asked = Asked(tmp_path, [["chess clubs", "Chess clubs at sea"]], similarity="rouge_l",
                  near_copy=0.5)  # fmt: skip
    found = asked.subtopics(1, topic="Chess clubs")
    assert found.subtopics == ["Chess clubs at sea"]


def test_no_list_at_all_is_a_fault_that_says_what_came(tmp_path: Path) -> None:
    asked = Asked(tmp_path, [["Salt"], "no object", ["...", "salt!"]])
    with pytest.raises(ModelFault) as fault:
        asked.subtopics(2, known=["Salt"])
    assert fault.value.kind == "subtopics_missing"
    assert str(fault.value) == "no usable subtopics (replies: 3, near-copies: 2, unusable: 2)"
    assert json.loads(fault.value.evidence) == {"subtopics": ["...", "salt!"]}


def person(name: str, about: str) -> dict[str, str]:
    return {"name": name, "about": about}


def test_personas_have_a_name_of_up_to_four_words_and_four_words_about_them(
    tmp_path: Path,
) -> None:
    asked = Asked(
        tmp_path,
        [
            [
                person("Ana Maria de Souza", "bakes bread all night , "),
                person("Bo van der Berg Junior", "mends clocks all day long"),
                person("Cem", "rows boats home"),
                person("R2D2", "beeps at all the others"),
                person("Dora", "  keeps   bees in town,"),
                person("ana", "flies kites on the beach"),  # a first name that another persona has
                person("Eve", "bakes bread all night"),  # a text that another persona has
                person("Finn", "paints doors and window frames"),
            ]
        ],
    )
    found = asked.personas(3)
    assert [(one.name, one.text) for one in found.personas or ()] == [
        ("Ana Maria de Souza", "bakes bread all night"),
        ("Dora", "keeps bees in town"),
        ("Finn", "paints doors and window frames"),
    ]
    assert counts(found) == (1, 2, 3)
    assert found.subtopics is None


def test_personas_that_are_known_are_shown_and_not_taken_again(tmp_path: Path) -> None:
    known = [Persona(name="Dora Lee", text="keeps bees in town")]
    asked = Asked(
        tmp_path,
        [
            [person("Dora", "swims in cold water daily")],
            [person("Gus", "keeps bees in town")],
            [person("Hal", "draws maps of old mines")],
        ],
    )
    found = asked.personas(1, known)
    assert [one.name for one in found.personas or ()] == ["Hal"]
    assert counts(found) == (3, 2, 0)
    assert ["Dora Lee" in prompt for prompt in asked.prompts] == [True, False, False]
    none = Asked(tmp_path, [[person("Dora", "swims in cold water daily")]], tries=1)
    with pytest.raises(
        ModelFault, match=r"no usable personas \(replies: 1, near-copies: 1, unusable: 0\)"
    ):
        none.personas(1, known)
