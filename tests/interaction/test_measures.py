"""The graph, coherence and friction, calculated by hand."""

from __future__ import annotations

from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.interaction.addressing import Address
from convogen.interaction.analysis import analyse
from convogen.interaction.coherence import coherence
from convogen.interaction.graph import Graph, gini_of, graph_of, speaker_entropy
from convogen.interaction.patterns import BEHAVIOURS, load_patterns
from convogen.records import Conversation, Turn


def _to(*names: str, everyone: bool = False, reply: int | None = None) -> Address:
    return Address(names, everyone, reply, "previous")


def test_a_star_is_central_and_a_ring_is_not() -> None:
    star = Graph(("a", "b", "c"), {("a", "b"): 2, ("a", "c"): 2}, 0)
    assert (star.out_centralisation, star.reciprocity, star.density) == (1.0, 0.0, 2 / 6)
    ring = Graph(("a", "b", "c"), {("a", "b"): 1, ("b", "c"): 1, ("c", "a"): 1}, 0)
    assert (ring.out_centralisation, ring.in_centralisation, ring.degree) == (0.0, 0.0, 1.0)
    uneven = Graph(("a", "b"), {("a", "b"): 3, ("b", "a"): 1}, 0)
    assert uneven.reciprocity == 0.5


def test_turns_to_everyone_are_no_edges() -> None:
    graph = graph_of(
        ["a", "b", "a"],
        [_to("b", "c", everyone=True), _to("a"), _to("b", "c")],
        ("a", "b", "c"),
    )
    assert graph.to_everyone == 1
    assert graph.weights == {("b", "a"): 1, ("a", "b"): 1, ("a", "c"): 1}
    assert Graph(("a", "b"), {}, 2).reciprocity is None


def test_a_round_robin_has_no_entropy() -> None:
    assert speaker_entropy(["a", "b", "c"] * 3) == 0
    assert speaker_entropy(["a", "b", "a", "b"]) is None
    # from a: b, c; from b: a; from c: a
    assert speaker_entropy(["a", "b", "a", "c", "a"]) == pytest.approx(0.5 * log(2) / log(2))


def test_gini_by_hand() -> None:
    assert gini_of("aabb") == 0
    assert gini_of("aaab") == pytest.approx(0.25)
    assert gini_of("aaa") == 0


def test_coherence_by_hand() -> None:
    words = [["lake", "swim"], ["lake", "swim"], ["tax"], ["tax"]]
    replies = [_to("b"), _to("a", reply=0), _to("a", reply=1), _to("b", reply=2)]
    found = coherence(["a", "a", "b", "b"], words, replies)
    assert found.local == pytest.approx((1 + 0 + 1) / 3)
    assert found.consistency == pytest.approx(1.0)
    # each turn has one equal and two different turns, whose sum has the squared length 1 + 4
    assert found.overall == pytest.approx(1 / sqrt(5))
    assert coherence(["a"], [["x"]], [_to()]).consistency is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from("uvwxyz"))), max_size=8))
def test_similarities_are_in_their_bounds(turns: list[tuple[str, list[str]]]) -> None:
    replies = [_to("b", reply=at - 1 if at else None) for at in range(len(turns))]
    found = coherence([who for who, _ in turns], [words for _, words in turns], replies)
    for value in (found.local, found.overall):
        assert value is None or -1e-9 <= value <= 1 + 1e-9
    assert found.consistency is None or -1 - 1e-9 <= found.consistency <= 1 + 1e-9


@pytest.mark.parametrize(
    ("before", "text", "behaviour"),
    [
        ("I was going to say that we—", "We know.", "interruption"),
        ("It was on Monday.", "No, it was on Tuesday.", "disagreement"),
        ("They moved it.", "What do you mean?", "repair_request"),
        ("So you hate it.", "That's not what I meant.", "misunderstanding"),
        ("Where were you last night?", "Why do you ask?", "evasion"),
        ("Could you lend me ten pounds?", "No.", "refusal"),
        ("We could ask him.", "You never listen.", "complaint"),
        ("It rained all day.", "By the way, did you eat?", "topic_change"),
        ("How was school?", "Fine.", "silence"),
        ("When is it?", "On Friday, no, sorry, Saturday.", "self_repair"),
        ("Where is it?", "Uh, over there.", "hesitation"),
        ("Who did it?", "Maybe the cat.", "hedging"),
        ("So I walked home.", "Uh-huh.", "backchannel"),
    ],
)
def test_each_behaviour_is_told(before: str, text: str, behaviour: str) -> None:
    found = analyse(["Ana", "Ben"], [before, text], language="en")
    assert found.behaviours is not None
    assert behaviour in found.behaviours[1]


@pytest.mark.parametrize(
    "text", ["Yes.", "On Friday at nine.", "I walked the dog and then we had lunch.", "Uh-huh."]
)
def test_an_answer_is_not_friction(text: str) -> None:
    found = analyse(["Ana", "Ben"], ["When did you get there?", text], language="en")
    assert found.behaviours is not None
    assert found.behaviours[1] == frozenset()


@pytest.mark.parametrize("language", ["de", "ja"])
def test_friction_is_not_told_in_languages_without_patterns(language: str) -> None:
    found = analyse(["Ana", "Ben"], ["Wo ist er?", "No, um, maybe."], language=language)
    assert found.behaviours is None
    assert load_patterns(language) is None


def test_an_unstated_language_is_identified() -> None:
    german = ["Ich weiß nicht, was das soll.", "Das ist doch nicht mein Fehler, um Himmels willen."]
    assert analyse(["Ana", "Ben"], german).language is None
    english = ["I do not know what that is.", "It is not what you think it was."]
    assert analyse(["Ana", "Ben"], english).language == "en"


def test_a_line_of_patterns_has_a_word_that_lets_it_be_tried() -> None:
    """A text that a gated pattern matches must contain one of the words; checked on labelled
    turns."""
    from interaction.labelled import conversations

    patterns = load_patterns("en")
    assert patterns is not None
    from convogen.interaction.utterances import read

    for name in ("tuning", "held_out"):
        for turns, _ in conversations(name):
            for said in (read(turn["text"]) for turn in turns):
                for rule in (*patterns.friction.values(), patterns.everyone, patterns.two):
                    ungated = rule.has is not None and rule.has.search(said.plain) is not None
                    assert rule.match(said) >= ungated, (said.text, rule.words)


def test_a_turn_keeps_its_stated_addressee_in_its_line() -> None:
    conversation = Conversation(
        id="one",
        turns=[Turn(speaker="Ana", text="Hi.", addressee="Ben"), Turn(speaker="Ben", text="Hi.")],
    )
    line = conversation.to_line()
    assert line.count(b"addressee") == 1
    assert Conversation.model_validate_json(line) == conversation


def test_behaviours_are_at_least_ten() -> None:
    assert len(BEHAVIOURS) >= 10


@pytest.mark.parametrize(
    ("text", "opener"),
    [
        ("Yes, I was.", "response"),
        ("\u201cOkay\u201d is what she said.", "response"),
        ("Well, I was there.", "marker"),
        ("Um… yes.", "marker"),
        ("Great, when do we start?", "assessment"),
        ("That sounds really nice.", "assessment"),
        ("That is my brother.", None),
        ("I\u2019m not sure.", "first_person"),
        ("We left at nine.", "first_person"),
        ("*Why* not?", "question_word"),
        ("Somehow it works.", None),
        ("Sooner or later.", None),
        ("Noble of you.", None),
        ("", None),
    ],
)
def test_what_a_turn_begins_with(text: str, opener: str | None) -> None:
    found = analyse(["Ana"], [text], language="en")
    assert found.openers == [opener]
    assert analyse(["Ana"], [text], language="de").openers is None


@pytest.mark.parametrize(
    ("text", "returned"),
    [
        ("Why do you ask?", True),
        ("Um... what?", True),
        ("Where? With Dr.Who?", True),
        ("At home. And you?", False),
        ("At home!", False),
        ("家にいた。あなたは？", False),
        ("なぜ？", True),
    ],
)
def test_a_question_returned_says_nothing_else(text: str, returned: bool) -> None:
    found = analyse(["Ana", "Ben"], ["Where were you?", text])
    assert found.counter_questions == [False, returned]
    statement = analyse(["Ana", "Ben"], ["I was at home.", text])
    assert statement.counter_questions == [False, False]


@given(st.text(alphabet=".!? …a\n", max_size=300))
def test_any_turn_has_its_openers_and_questions_fast(text: str) -> None:
    found = analyse(["Ana", "Ben"], ["Where?", text], language="en")
    assert len(found.counter_questions) == 2
    assert not found.counter_questions[1] or "?" in text
