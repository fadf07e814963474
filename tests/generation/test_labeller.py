"""Labels are checked against the conversation; after a failed check, the model must retry."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from convogen.errors import ModelFault
from convogen.generation.labeller import (
    Labeller,
    SummaryRules,
    content_share,
    shuffled,
    unknown_names,
)
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ModelReply, Request, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.models.traffic.session import Session
from convogen.prompts import load_prompt
from convogen.records import Label

DIALOGUE = "Ana: The printer in the library is broken, Ben.\nBen: I will repair it on Monday."
GOOD = "Ben will repair the broken library printer."
RULES = SummaryRules(low=5, high=12, grounded=0.6)
PROMPTS = {step: load_prompt(f"augment/{step}") for step in ("summary", "choice", "emotions")}


def labelled(
    tmp_path: Path,
    replies: list[str],
    ask: Callable[[Labeller, Session], Awaitable[Label]],
    finish_reason: str = "stop",
) -> tuple[Label, list[Request]]:
    """Return a labeller's result when the model gives `replies` in turn, and the requests."""
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return replies[len(asked) - 1]

    class Model(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            return replace(await super().complete(request), finish_reason=finish_reason)

    async def go() -> Label:
        roles = {"labeller": Role(ModelSpec(name="scripted"), Sampling())}
        traffic = Traffic(roles, 1, RunProgress(), lambda _: Model(script))
        try:
            session = traffic.session(0, 1, Journal(tmp_path / "0.jsonl"))
            return await ask(Labeller(PROMPTS, 2), session)
        finally:
            await traffic.close()

    return asyncio.run(go()), asked


@pytest.mark.parametrize(
    ("summary", "complaint"),
    [
        (GOOD, None),
        ("Too short.", "it has 2 words, 5 to 12 are wanted"),
        ("The broken library printer belongs to Zoe.", "'Zoe' is not in the conversation"),
        ("#Person1# has a broken library printer.", "'#Person1#' is not in the conversation"),
        ("Everybody loves chocolate pudding with raspberries.", "too little of it"),
        ("Ana, I think, says Ben's printer is broken.", None),
    ],
)
def test_what_is_wrong_with_a_summary(summary: str, complaint: str | None) -> None:
    found = RULES.complaint(summary, DIALOGUE)
    assert found is None if complaint is None else found is not None and complaint in found


def test_the_rules_are_those_that_nearly_all_summaries_of_the_source_keep() -> None:
    pairs = [("A: apples and oranges", f"{'apples ' * (n % 10 + 3)}here") for n in range(100)]
    pairs += [("A: apples", "nothing that anybody there spoke of at all")] * 2
    rules = SummaryRules.learn(pairs)
    assert (rules.low, rules.high) == (4, 13)
    assert sum(rules.complaint(summary, dialogue) is None for dialogue, summary in pairs) >= 98


@pytest.mark.parametrize(
    ("n", "low", "high"), [(1, 1, 1), (99, 1, 99), (100, 2, 99), (299, 3, 297), (300, 4, 297)]
)
def test_of_the_lengths_a_hundredth_is_cut_off_at_either_end(n: int, low: int, high: int) -> None:
    rules = SummaryRules.learn(("", "ab " * words) for words in range(1, n + 1))
    assert (rules.low, rules.high) == (low, high)


@pytest.mark.parametrize(("n", "grounded"), [(19, 0.0), (20, 0.5), (39, 0.5)])
def test_nineteen_of_twenty_summaries_reach_the_share(n: int, grounded: float) -> None:
    """One summary shares no words with its dialogue, the next shares half, and all others share
    all."""
    pairs = [("", "kettle"), ("kettle", "kettle window")] + [("kettle", "kettle")] * (n - 2)
    assert SummaryRules.learn(pairs).grounded == grounded


def test_lengths_and_shares_at_the_limit_are_right() -> None:
    rules = SummaryRules(2, 4, 0.5)
    assert rules.complaint("kettle window", "a kettle") is None
    assert rules.complaint("a kettle window so", "a kettle") is None
    assert rules.complaint("kettle", "a kettle") == "it has 1 words, 2 to 4 are wanted"
    assert rules.complaint("a b c d e", "") == "it has 5 words, 2 to 4 are wanted"
    assert rules.complaint("kettle window harbour", "a kettle") == (
        "too little of it is in the conversation (0.33 of its words)"
    )


@pytest.mark.parametrize(
    ("summary", "dialogue", "share"),
    [
        ("kettles boiled", "the kettle boiler", 1.0),  # the same first five letters
        ("boil", "boils", 0.0),
        ("tea was with them", "", 1.0),  # no content word of four or more letters
        ("kettle, KETTLE, window, lamp2", "Kettle!", 0.5),
    ],
)
def test_the_share_of_content_words(summary: str, dialogue: str, share: float) -> None:
    assert content_share(summary, dialogue) == share


def test_forms_of_a_word_and_the_start_of_a_sentence_are_no_invention() -> None:
    assert content_share("Repairing the printers", DIALOGUE) == 1.0
    assert content_share("", DIALOGUE) == 1.0
    assert unknown_names("Library printers break. Ben's at it, I’m sure.", DIALOGUE) == []
    assert unknown_names('They call him "Tom" there', DIALOGUE) == ["Tom"]


def test_a_summary_is_asked_for_again_with_the_complaint(tmp_path: Path) -> None:
    label, asked = labelled(
        tmp_path,
        ["No.", "Summary: In the library, Zoe has a printer.", f'Summary: "{GOOD}"\n\nI hope so.'],
        lambda labeller, session: labeller.summarise(session, DIALOGUE, RULES, []),
    )
    assert label.value == GOOD
    assert len(label.reasks) == 2
    assert "1.00 of its content words" in label.check
    assert "'Zoe' is not in the conversation" in asked[2].messages[-1].content


def test_a_summary_that_was_cut_off_is_asked_for_again(tmp_path: Path) -> None:
    rest = "He said that the"
    label, asked = labelled(
        tmp_path,
        ["Ben will repair the broken library prin", f"{GOOD} {rest}"],
        lambda labeller, session: labeller.summarise(session, DIALOGUE, RULES, []),
        finish_reason="length",
    )
    assert label.value == GOOD
    assert label.reasks == ["it was cut off; say it in at most 12 words"]
    assert "it was cut off" in asked[1].messages[-1].content


def test_a_summary_of_an_example_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFault, match="summary of an example") as refused:
        labelled(
            tmp_path,
            [GOOD] * 3,
            lambda labeller, session: labeller.summarise(
                session, DIALOGUE, RULES, [("A: x\nB: y", GOOD)]
            ),
        )
    assert refused.value.kind == "summary_refused"


@pytest.mark.parametrize("said", ['a "quoted", one', "two\nlines", "repair"])
def test_a_choice_is_blind_and_says_whether_it_agrees(tmp_path: Path, said: str) -> None:
    options = ['a "quoted", one', "two\nlines", "repair"]
    label, asked = labelled(
        tmp_path,
        [json.dumps({"label": said})],
        lambda labeller, session: labeller.choose(session, DIALOGUE, "topic", "repair", options),
    )
    assert label.value == said
    assert label.planned == "repair"
    assert ("agrees" in label.check) is (said == "repair")
    assert "planned" not in asked[0].messages[-1].content
    assert asked[0].schema is not None
    assert asked[0].schema["properties"]["label"]["enum"] == options


def test_an_utterance_without_an_emotion_is_asked_for_again(tmp_path: Path) -> None:
    replies = ['{"1": "anger"}', "{}", '{"1": "Anger", "2": "joy", "3": "joy"}']
    label, asked = labelled(
        tmp_path,
        replies,
        lambda labeller, session: labeller.emotions(
            session, DIALOGUE.split("\n"), ["anger", "joy"], [(["A: oh"], ["joy"])]
        ),
    )
    assert label.value == ["anger", "joy"]
    assert label.reasks[0] == "utterance 2 has none of the emotions"
    assert '{"1": "joy"}' in asked[0].messages[-1].content


def test_the_options_hold_the_planned_one_at_any_place() -> None:
    others = [str(n) for n in range(20)]
    drawn = [shuffled("7", others, 8, random.Random(seed)) for seed in range(50)]
    assert all(len(set(options)) == 8 and "7" in options for options in drawn)
    assert len({options.index("7") for options in drawn}) == 8
    assert shuffled("a", ["a"], 8, random.Random(0)) == ["a"]


def test_a_german_noun_is_no_name() -> None:
    dialogue = "Anna: Hast du den Schlüssel?\nBen: Nein, der liegt bei dir."
    summary = "Anna sucht den Schlüssel, und das Gespräch mit Ben bringt keine Lösung."
    assert unknown_names(summary, dialogue) == ["Gespräch", "Lösung"]
    assert unknown_names(summary, dialogue, "de") == []
    assert unknown_names("#Person3# sucht ihn.", dialogue, "de") == ["#Person3#"]


def test_summaries_in_another_language_than_the_sources_are_measured_by_length_alone() -> None:
    learned = SummaryRules(low=3, high=30, grounded=0.9, language="en")
    summary = "Anna und Ben suchen zusammen nach dem Schlüssel."
    dialogue = "Anna: Wo ist er nur?\nBen: Weg."
    assert learned.complaint(summary, dialogue) is not None
    assert learned.translated("de-AT").complaint(summary, dialogue) is None


@pytest.mark.parametrize(
    ("ask", "reply", "finish_reason", "kind", "said"),
    [
        ("summary", "No.", "stop", "summary_refused", "it has 1 words, 5 to 12 are wanted"),
        ("choice", '{"label": "x"}', "stop", "label_invalid", "act: it is none of the labels"),
        ("choice", '{"label": ', "length", "label_invalid", "act: it was cut off before its end"),
        ("choice", '{"label": 3}', "stop", "label_invalid", "act: it is none of the labels"),
        ("emotions", '{"1": "joy", "2": "x"}', "stop", "emotions_invalid", "utterance 2 has none"),
        ("emotions", '{"1": "', "length", "emotions_invalid", "it was cut off before its end"),
    ],
)  # fmt: skip
def test_after_the_last_reask_it_is_a_fault_with_the_last_reply(
    ask: str, reply: str, finish_reason: str, kind: str, said: str, tmp_path: Path
) -> None:
    """Two reasks allow three replies; a fourth is never requested."""
    asks: dict[str, Callable[[Labeller, Session], Awaitable[Label]]] = {
        "summary": lambda one, session: one.summarise(session, DIALOGUE, RULES, []),
        "choice": lambda one, session: one.choose(session, DIALOGUE, "act", "ask", ["ask", "tell"]),
        "emotions": lambda one, session: one.emotions(session, ["A: x", "B: y"], ["joy"], []),
    }
    with pytest.raises(ModelFault) as fault:
        labelled(tmp_path, ["?", "?", reply], asks[ask], finish_reason)
    assert fault.value.kind == kind
    assert said in str(fault.value)
    assert fault.value.evidence == reply


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"Summary: {GOOD}",
        f"**SUMMARY** :  {GOOD}",
        "  Ben will repair\nthe broken library printer.\n\nDone?",
    ],
)
def test_what_stands_around_a_summary_goes(reply: str, tmp_path: Path) -> None:
    label, asked = labelled(
        tmp_path,
        [reply],
        lambda labeller, session: labeller.summarise(session, DIALOGUE, RULES, []),
    )
    assert (label.value, label.reasks) == (GOOD, [])
    assert label.check == (
        "5 to 12 words; its names are in the conversation; 1.00 of its content words are, at least "
        "0.60"
    )
    assert asked[0].sampling.max_tokens == 2 * 12 + 8
    assert (label.model, label.request) == ("scripted", asked[0].hash)
