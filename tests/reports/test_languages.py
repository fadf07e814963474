"""The statements about languages in a report and a card."""

from __future__ import annotations

from convogen.judges.geval import GEval
from convogen.metrics import Statistics, measure
from convogen.records import Conversation, Turn
from convogen.reports.languages import card_languages, judging_limit, said_languages

JAPANESE = ["今日はちょっと無理かも、ごめんね。", "鍵は机の上に置いたはずだけど。"]
ENGLISH = ["I cannot make it today, sorry about that.", "Where did you put the keys again?"]


def text(*conversations: tuple[str | None, list[str]]) -> Statistics:
    given = [
        Conversation(
            id=f"c{number}",
            language=tag,
            turns=[Turn(speaker="AB"[nth % 2], text=said) for nth, said in enumerate(texts)],
        )
        for number, (tag, texts) in enumerate(conversations)
    ]
    return measure(given, compare=False)


def test_what_is_stated_is_said_with_how_much_of_it_is_so() -> None:
    found = text(("ja", JAPANESE), ("ja", [JAPANESE[0], ENGLISH[0]]))
    assert said_languages(found) == (
        "Japanese (2 conversations; 75.0% of 4 turns of five words or more are in this language)"
    )
    assert card_languages(found)[0] == "ja"


def test_what_is_found_goes_over_what_is_stated() -> None:
    found = text(("ja", ENGLISH), ("ja", ENGLISH))
    assert "0.0% of 4 turns" in said_languages(found)
    assert "detected: 2 English" in said_languages(found)
    assert card_languages(found) == ["en"]


def test_a_corpus_that_states_nothing_is_known_by_its_words() -> None:
    found = text((None, JAPANESE), (None, ENGLISH), (None, ENGLISH))
    assert said_languages(found) == "English (2 conversations); Japanese (1 conversation)"
    assert card_languages(found) == ["en", "ja"]
    assert found.stated_languages == {}


def test_a_language_nobody_has_heard_of_is_said_as_it_stands() -> None:
    found = text(("no such tag!", ENGLISH))
    assert (
        "no such tag! (1 conversation; the share of turns in this language cannot be measured"
        in said_languages(found)
    )


def test_a_judge_that_is_asked_in_english_is_said_to_be() -> None:
    shipped = {step: prompt.hash for step, prompt in GEval().prompts.items()}
    japanese, english = text((None, JAPANESE)), text((None, ENGLISH))
    [line] = judging_limit(japanese, "geval", shipped)
    assert line == "the judge was asked in English about conversations in Japanese."
    [line] = judging_limit(japanese, "geval", {**shipped, "score": "another"})
    assert "with your own prompts" in line
    assert list(judging_limit(english, "geval", shipped)) == []
