"""The measures of a corpus, checked by hand, and equal on any number of processes."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.errors import SourceError, UserError
from convogen.metrics import distance, measure, statistics_of
from convogen.metrics.statistics import Statistics
from convogen.metrics.tally import CorpusTally, Sample, tally_of
from convogen.records import Conversation, Selection, Turn

TURNS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["hi", "so long then", "one two", ""])),
    min_size=1,
    max_size=6,
)


def chat(*turns: tuple[str, str], **fields: object) -> Conversation:
    spoken = [Turn(speaker=speaker, text=text) for speaker, text in turns]
    return Conversation.model_validate({"id": "c", "turns": spoken} | fields)


def of(*conversations: Conversation) -> Statistics:
    return statistics_of(tally_of(conversations), "text", compare=False)


def test_table_three_by_hand() -> None:
    found = of(
        chat(("a", "one two three"), ("b", "four"), ("a", "five six")),
        chat(("a", "one"), ("b", "")),
    )
    assert (found.conversations, found.turns) == (2, 5)
    assert found.words_per_conversation == 3.5
    assert found.turns_per_conversation == 2.5
    assert found.words_per_turn == 7 / 5
    assert found.speakers_per_conversation == 2
    assert found.turn_length_counts == {0: 1, 1: 2, 2: 1, 3: 1}
    assert found.speaker_shares == {2: [pytest.approx((2 / 3 + 1 / 2) / 2), pytest.approx(5 / 12)]}
    assert found.turn_length is not None
    lengths = [3, 1, 2, 1, 0]
    assert found.turn_length.std == pytest.approx(statistics.pstdev(lengths))
    assert found.turn_length.median == statistics.median(lengths)


def test_the_standard_deviation_divides_by_n() -> None:
    chats = [chat(("a", text)) for text in ("a b c d e", "a a a a b", "a b a b a")]
    found = of(*chats)
    values = [of(one).mtld_mean for one in chats]
    assert found.mtld_std == pytest.approx(statistics.pstdev(v for v in values if v is not None))


def test_quartiles_are_lengths_that_occur() -> None:
    """A quartile is the smallest length that a quarter, a half or three quarters of turns do not
    exceed."""
    found = of(chat(*(("a", "w " * n) for n in (1, 2, 2, 3, 7, 9, 9, 20)))).turn_length
    assert found is not None
    assert (found.min, found.q25, found.median, found.q75, found.max) == (1, 2, 3, 9, 20)
    assert found.mean == 53 / 8
    even = of(chat(*(("a", "w " * n) for n in (1, 2, 3, 4)))).turn_length
    assert even is not None
    assert (even.q25, even.median, even.q75) == (1, 2, 3)
    assert even.std == pytest.approx(1.25**0.5)


def test_shares_of_turns_are_apart_for_each_number_of_speakers() -> None:
    found = of(
        chat(("a", "x"), ("b", "x"), ("b", "x"), ("c", "x")),
        chat(("a", "x"), ("a", "x"), ("b", "x")),
        chat(("c", "x")),
    )
    assert found.speaker_shares == {
        1: [1.0],
        2: [pytest.approx(2 / 3), pytest.approx(1 / 3)],
        3: [0.5, 0.25, 0.25],
    }
    assert found.turn_count_counts == {1: 1, 3: 1, 4: 1}


def test_what_was_asked_again_tidied_taken_and_broken_off() -> None:
    turns = [
        Turn(speaker="a", text="x", reasks=["echo", "echo", "refusal"], tidied=["label"]),
        Turn(speaker="b", text="x", lapse="cut_off", tidied=["label", "stage"]),
    ]
    one = Conversation(id="c", turns=turns, refused=["empty", "loop", "refusal"], ended="refusal")
    proper = Conversation(id="d", turns=turns[:1], ended="max_turns")
    found = of(one, proper).turn_checks
    assert asdict(found) == {
        "asked_again": {"echo": 4, "refusal": 2, "empty": 1, "loop": 1},
        "tidied": {"label": 3, "stage": 1},
        "taken_with": {"cut_off": 1},
        "broken_off": {"refusal": 1},
    }
    assert list(found.asked_again) == ["echo", "refusal", "empty", "loop"]
    half = tally_of([one])
    half.merge(tally_of([proper], first=1))
    assert statistics_of(half, "text", compare=False).turn_checks == found


def test_openings_are_what_a_conversation_began_with() -> None:
    """Two of three have the same people, and all have the same topic in other words; roles are
    not names."""
    context = {"situation": "At sea.", "relations": "Kin.", "topic": "the old mill"}
    talks = [
        chat(("Ana", "Hello you"), ("user 2", "x"), context=context),
        chat(("Ana", "hello, YOU"), ("Bot", "x"), context=context | {"topic": "The mill, old"}),
        chat(("Bo", "Good evening"), ("gpt-4", "x"), context={"topic": "THE OLD MILL"}),
    ]
    found = of(*talks).repetition
    assert (found["topics"].texts, found["topics"].copies) == (3, 3)
    assert found["names"].most == {"Ana": 2}
    assert (found["names"].texts, found["starters"].copies) == (3, 2)
    assert found["experiences"].texts == 2  # without a situation there is no experience


def test_a_sample_is_of_the_smallest_hashes_of_its_keys() -> None:
    keys = [f"{number}" for number in range(50)]
    smallest = sorted(keys, key=lambda key: blake2b(key.encode(), digest_size=8).digest())[:4]
    whole, first, rest = Sample(4), Sample(4), Sample(4)
    for at, key in enumerate(keys):
        whole.add(key, key)
        (first if at < 20 else rest).add(key, key)
    first.merge(rest)
    assert whole.items == first.items == smallest
    few = Sample(4)
    for key in keys[:3]:
        few.add(key, key)
    assert sorted(few.items) == keys[:3]


def test_nothing_to_measure_is_none_and_not_a_number() -> None:
    empty = of()
    assert (empty.conversations, empty.mtld_mean, empty.words_per_turn) == (0, None, None)
    silent = of(chat(("a", "...")))
    assert (silent.conversations, silent.mtld_mean, silent.distinct_1) == (1, None, None)
    json.dumps([empty.as_dict(), silent.as_dict()], allow_nan=False)


def test_selector_repairs_and_participants() -> None:
    def turn(speaker: str, reply: str | None, repair: str | None) -> Turn:
        selection = Selection(candidates=["a", "b"], reply=reply, repair=repair)
        return Turn(speaker=speaker, text="hi", selection=selection)

    turns = [turn("a", "a", None), turn("b", "?", "kept the first"), turn("a", None, None)]
    record = Conversation(id="c", participants=["a", "b", "c"], turns=turns)
    found = of(record).group_chat
    assert (found.selections, found.selector_repair_rate, found.never_spoke) == (2, 0.5, 1)


def test_rates_of_repetition_and_farewell() -> None:
    line = "I would love to see that old mill again"
    found = of(
        chat(("a", line), ("b", "No"), ("a", line), ("b", "Maybe")),
        chat(("a", "Bye"), ("b", "Goodbye"), ("a", "See you"), ("b", "Take care")),
    ).group_chat
    assert found.self_repetition_rate == 1 / 8
    assert found.farewell_loop_rate == 1 / 2


def test_repetition_of_a_run_counts_each_experience_once() -> None:
    context = {"topic": "the mill", "situation": "they meet", "relations": "friends"}
    one = chat(("Ana", "Hi"), context=context, experience="e1")
    other = chat(("Bo", "Evening all"), context=context, experience="e2")
    found = of(one, one, other).repetition
    assert found["topics"].texts == found["experiences"].copies == 2
    assert (found["names"].texts, found["names"].copies) == (2, 0)
    assert "names" not in of(chat(("user1", "Hi"), ("user2", "Ho"))).repetition


def test_distance_from_a_human_corpus_by_hand() -> None:
    ours = of(chat(("a", "one two three four"), ("b", "one two three four")))
    human = of(chat(("a", "one"), ("b", "one"), ("a", "one two")))
    apart = distance(ours, human)
    assert apart is not None
    assert apart.turn_length == pytest.approx(4 - 4 / 3)
    assert apart.turn_count == 1
    same = distance(human, human)
    assert same is not None
    assert (same.turn_length, same.turn_count) == (0, 0)
    assert distance(of(), human) is None


@settings(deadline=None)
@given(st.lists(TURNS, min_size=1, max_size=8), st.integers(0, 8))
def test_tallies_of_parts_merge_to_that_of_the_whole(
    conversations: list[list[tuple[str, str]]], cut: int
) -> None:
    chats = [chat(*turns) for turns in conversations]
    parts = CorpusTally()
    for part, first in ((chats[:cut], 0), (chats[cut:], cut)):
        parts.merge(tally_of(part, first=first))
    whole = statistics_of(tally_of(chats), "text", compare=False)
    merged = statistics_of(parts, "text", compare=False)
    assert merged.speaker_shares == {
        size: pytest.approx(shares) for size, shares in whole.speaker_shares.items()
    }
    left_out = {"speaker_shares": 0}
    assert merged.as_dict() | left_out == whole.as_dict() | left_out


@given(st.permutations(range(40)))
def test_a_sample_does_not_depend_on_the_order(order: list[int]) -> None:
    sample = Sample(5)
    for number in order:
        sample.add(str(number), number)
    expected = Sample(5)
    for number in range(40):
        expected.add(str(number), number)
    assert len(sample.items) == 5
    assert sample.items == expected.items


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "many.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for at in range(1_500):
            words = [f"w{at * step % 97}" for step in range(2, 30)]
            turns = [{"speaker": "ab"[n % 2], "text": " ".join(words[n::4])} for n in range(4)]
            file.write(json.dumps({"turns": turns, "topic": words[0]}) + "\n")
        file.write("{broken\n")
    return path


def test_two_processes_give_the_result_of_one(corpus: Path) -> None:
    one, two = open_corpus(corpus), open_corpus(corpus)
    assert measure(one, workers=1).as_dict() == measure(two, workers=2).as_dict()
    assert one.bad_rows == two.bad_rows
    assert one.bad_rows.count == 1


def test_a_rendering_that_there_is_not_is_told_with_those_there_are(corpus: Path) -> None:
    with pytest.raises(UserError, match="unknown rendering 'prose'; allowed: text, paper"):
        measure(open_corpus(corpus), "prose")  # type: ignore[arg-type]


def test_strict_reaches_through_the_processes(corpus: Path) -> None:
    with pytest.raises(SourceError, match=r"many\.jsonl:1501"):
        measure(open_corpus(corpus, strict=True), workers=2)


def in_language(language: str | None, *texts: str) -> Conversation:
    names = ["Ana", "Bo"] * len(texts)
    return chat(*zip(names, texts, strict=False), participants=["Ana", "Bo"], language=language)


def test_farewells_and_calls_are_counted_in_their_language() -> None:
    said = in_language("de", "Bo, ich muss los.", "Bis morgen!", "Tschüss!", "Auf Wiedersehen.")
    chat = of(said).group_chat
    assert (chat.addressed, chat.answered_next_rate, chat.farewell_loop_rate) == (1, 1.0, 1.0)


def test_what_no_pattern_can_find_is_not_reported_as_nothing() -> None:
    hungarian = in_language("hu", "Szia, Bo!", "Szia.", "Viszlát!", "Viszlát!", "Viszlát!")
    found = of(hungarian)
    assert found.group_chat.farewell_loop_rate is None
    assert found.group_chat.addressed is None
    assert found.group_chat.answered_next_rate is None
    assert {"farewell", "addressing", "refusal"} <= set(found.not_checked["hu"])
    english = in_language("en", "See you, Bo.", "Bye!", "Bye!", "Take care!")
    both = of(hungarian, english)
    assert both.group_chat.farewell_loop_rate == 1.0
    assert set(both.not_checked) == {"hu"}


def test_few_words_of_no_known_language_count_as_english() -> None:
    grunts = in_language(None, "Mmm.", "Bye.", "Bye!", "Bye!")
    assert of(grunts).group_chat.farewell_loop_rate == 1.0
    swahili = in_language(
        None, *["Mimi ninakwenda sokoni kununua matunda na mboga leo asubuhi."] * 8
    )
    assert of(swahili).group_chat.farewell_loop_rate is None
