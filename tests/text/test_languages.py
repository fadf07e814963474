"""The checks of each language: people's sentences pass, and models' slips are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from convogen.interaction.vocatives import called_in
from convogen.methods.roleplay.thanks import is_thanks
from convogen.text.checks import CHECKS, checked_languages
from convogen.text.language import load_language
from convogen.text.turn_checks import Scene, read_typed, read_utterance
from convogen.text.utterances import is_farewell

LANGUAGES = Path(__file__).parents[1] / "data" / "languages"
TAGS = sorted(path.stem for path in LANGUAGES.glob("*.yaml"))

MOST_FALSE_ALARMS = 0.01
"""Maximum share of people's sentences in which a check finds something."""

LEAST_FOUND = 0.8
"""Minimum share of faults that must be found in each language."""


def sentences(tag: str) -> dict[str, Any]:
    return yaml.safe_load((LANGUAGES / f"{tag}.yaml").read_text("utf-8"))


def scene_of(data: dict[str, Any]) -> Scene:
    return Scene(data["speaker"], tuple(data["others"]), tuple(data["earlier"]))


def findings(text: str, data: dict[str, Any], tag: str) -> set[str]:
    """Return the checks that find something in a text, with any of the parsing functions."""
    said = read_utterance(text, scene_of(data), language=tag)
    typed = read_typed(text, scene_of(data), language=tag)
    found = {said.fault, *said.tidied, typed.fault}
    found |= {"farewell"} if is_farewell(text, tag) else set()
    found |= {"courtesies"} if is_thanks(text, tag) else set()
    found |= {"addressing"} if called_in(text, data["others"], tag) else set()
    return {name for name in found if name is not None}


def cases(data: dict[str, Any], tag: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the check and the text of each fault, and whether the fault was found."""
    for check, texts in data["found"].items():
        for text in texts:
            yield check, text, check in findings(text, data, tag)
    for text, name in data.get("addressed", {}).items():
        yield "addressing", text, called_in(text, data["others"], tag) == (name,)


@pytest.mark.parametrize("tag", TAGS)
def test_what_people_say_is_left_alone(tag: str) -> None:
    data = sentences(tag)
    texts = [*data["human"], *data["tricky"]]
    alarms = {text: found for text in texts if (found := findings(text, data, tag))}
    assert len(texts) >= 100
    assert 2 * len(data["tricky"]) >= len(texts)
    assert len(alarms) <= MOST_FALSE_ALARMS * len(texts), alarms


@pytest.mark.parametrize("tag", TAGS)
def test_what_people_do_not_say_is_found(tag: str) -> None:
    data = sentences(tag)
    results = list(cases(data, tag))
    missed = [(check, text) for check, text, found in results if not found]
    assert len(results) >= 25
    assert len(missed) <= (1 - LEAST_FOUND) * len(results), missed


@pytest.mark.parametrize("tag", TAGS)
def test_each_check_of_a_language_has_cases(tag: str) -> None:
    data = sentences(tag)
    tried = {*data["found"], *(["addressing"] if data.get("addressed") else [])}
    assert tried == load_language(tag).checks - {"topic"}


@pytest.mark.parametrize("tag", TAGS)
def test_goodbyes_and_thanks_are_no_faults(tag: str) -> None:
    data = sentences(tag)
    for text in (*data["found"].get("farewell", ()), *data["found"].get("courtesies", ())):
        assert read_utterance(text, scene_of(data), language=tag).fault is None


def test_all_languages_with_patterns_have_sentences() -> None:
    assert set(TAGS) == {*checked_languages()} - {"en"}
    assert load_language("en").checks == set(CHECKS)


@pytest.mark.parametrize("tag", checked_languages())
def test_all_patterns_of_a_language_compile(tag: str) -> None:
    """In use, a pattern is compiled only when it is first needed."""
    language = load_language(tag)
    rules = [rule for group in language.rules.model_dump().values() for rule in group]
    groups = [one.model_dump() for one in (language.directions, language.courtesies) if one]
    patterns = [rule["patterns"] for rule in rules]
    patterns += [pattern for group in groups for pattern in group.values()]
    assert len(patterns) > 8
    for pattern in (*patterns, language.farewell or ""):
        language.compile(pattern, own=True)
