"""Lexical diversity and repetition, compared with other implementations and manual calculations."""

from __future__ import annotations

import math
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.metrics.diversity import Distinct, lexical, self_bleu, word_hashes
from convogen.metrics.repetition import EXACT_LIMIT, repetition
from convogen.metrics.rouge import rouge_l_mean, rouge_l_nearest, rouge_l_pairs
from convogen.metrics.statistics import statistics_of
from convogen.metrics.tally import tally_of
from convogen.records import Conversation, Turn

WORDS = st.sampled_from(["a", "b", "tea", "Tea!", "no-one", "7", "ü", "it's", "", "\ud83d\ude00"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=8)


def test_mtld_and_ttr_are_those_of_lexicalrichness() -> None:
    from lexicalrichness import LexicalRichness

    text = "user1: the cat saw the dog\nuser2: the dog saw the cat , 7 times"
    words, mtld, ttr = lexical(text)
    assert mtld == LexicalRichness(text).mtld(threshold=0.72)
    assert ttr == len(set(words)) / len(words)


@given(st.text())
def test_any_text_has_a_diversity_or_none(text: str) -> None:
    words, mtld, ttr = lexical(text)
    assert math.isnan(mtld) == math.isnan(ttr) == (not words)


@given(TEXTS)
def test_rouge_l_is_that_of_rouge_score(texts: list[str]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    theirs = [scorer.score(one, other)["rougeL"].fmeasure for one, other in combinations(texts, 2)]
    ours = rouge_l_pairs(texts, languages=["en"] * len(texts))
    assert ours.tolist() == pytest.approx(theirs, abs=1e-12)


def test_rouge_l_by_hand() -> None:
    assert rouge_l_pairs(["a b c d", "a c"]).tolist() == [pytest.approx(2 * 1 * 0.5 / 1.5)]
    assert rouge_l_mean(["a"]) is None


INFLECTED = st.sampled_from(["talking", "talks", "talked", "dogs", "dog", "a", "#Person1#:", "9"])


@given(st.lists(st.lists(INFLECTED, max_size=9).map(" ".join), max_size=6))
def test_the_nearest_rouge_l_is_that_of_the_stemming_rouge_score(texts: list[str]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)

    def score(one: int, other: int) -> float:
        return scorer.score(texts[one], texts[other])["rougeL"].fmeasure

    found = rouge_l_nearest(texts)
    if len(texts) < 2:
        assert found is None
        return
    places = range(len(texts))
    largest = [max(score(at, other) for other in places if other != at) for at in places]
    assert found == pytest.approx(sum(largest) / len(largest))


def test_diversity_as_in_diasynth_is_of_the_first_200_scripts_whatever_the_batches() -> None:
    def one(nth: int) -> Conversation:
        lines = (("Ann", f"word{nth} tea"), ("Bob", "tea then" if nth < 200 else "ends the same"))
        turns = [Turn(speaker=speaker, text=text) for speaker, text in lines]
        return Conversation(id=f"{nth}", turns=turns)

    given_ = [one(nth) for nth in range(260)]
    whole = statistics_of(tally_of(given_), "text")
    parts = tally_of(given_[:150])
    parts.merge(tally_of(given_[150:], first=150))
    assert statistics_of(parts, "text") == whole
    scripts = [f"Ann: word{nth} tea\nBob: tea then" for nth in range(200)]
    assert whole.nearest_of == 200
    assert whole.rouge_l_nearest == rouge_l_nearest(scripts) == pytest.approx(5 / 6)


def test_a_corpus_has_the_diversity_of_its_texts_where_they_are_compared() -> None:
    texts = ["we met at the old mill", "we met at the new mill", "seven ships left port early"]
    talks = [Conversation(id=f"{at}", turns=[Turn(speaker="a", text=text)]) for at, text in
             enumerate(texts)]  # fmt: skip
    found = statistics_of(tally_of(talks), "text")
    assert found.rouge_l == pytest.approx(rouge_l_mean(texts))
    assert found.rouge_l == pytest.approx((5 / 6 + 0 + 0) / 3)
    assert found.self_bleu == pytest.approx(self_bleu(texts))
    assert (found.compared, found.nearest_of) == (3, 3)
    assert (found.distinct_1, found.distinct_exact) == (12 / 17, True)
    assert found.distinct_2 == 11 / 14
    apart = statistics_of(tally_of(talks), "text", compare=False)
    assert (apart.rouge_l, apart.self_bleu, apart.rouge_l_nearest) == (None, None, None)
    assert (apart.compared, apart.nearest_of) == (0, 0)


def test_self_bleu_tells_copies_from_different_texts() -> None:
    same = self_bleu(["we met at the old mill by the river"] * 3)
    other = self_bleu(["we met at the mill", "nobody knows what rain is", "seven ships left port"])
    assert same == pytest.approx(1)
    assert other is not None
    assert other < 0.2
    assert self_bleu(["alone"]) is None


def grams(texts: list[list[str]], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=9), st.integers(1, 3))
def test_distinct_n_is_exact_for_small_corpora(texts: list[list[str]], n: int) -> None:
    counted = Distinct(n)
    for text in texts:
        counted.add(word_hashes(text))
    expected = grams(texts, n)
    assert (counted.count, counted.total) == (len(set(expected)), len(expected))
    assert counted.exact
    assert counted.ratio == (len(set(expected)) / len(expected) if expected else None)


def test_distinct_n_is_estimated_in_bounded_memory_and_merges_in_any_order() -> None:
    rng = random.Random(1)
    parts: list[Distinct] = []
    words: set[str] = set()
    for _ in range(20):
        part = Distinct(1, limit=2**12)
        text = [str(rng.randrange(60_000)) for _ in range(5_000)]
        words.update(text)
        part.add(word_hashes(text))
        parts.append(part)
    totals: list[float] = []
    for order in (parts, parts[::-1]):
        total = Distinct(1, limit=2**12)
        for part in order:
            total.merge(part)
        assert not total.exact
        assert total.total == 100_000
        totals.append(total.count)
    assert totals[0] == totals[1] == pytest.approx(len(words), rel=0.05)


def test_word_hashes_do_not_depend_on_the_process() -> None:
    assert word_hashes(["tea", "tea"]).tolist() == [10431608578837538234] * 2


def test_near_copies_are_counted_whatever_their_case_and_punctuation() -> None:
    texts = [
        "The old mill by the river",
        "the old mill, by the river!",
        "A storm at sea",
        "",
        "7 x",
    ]
    found = repetition([*texts, "The old mills by the river"])
    assert found is not None
    assert (found.texts, found.different, found.copies) == (5, 4, 3)
    assert found.share == 3 / 5
    assert found.most == {"The old mill by the river": 2}
    assert repetition(["", "!"]) is None


def test_minhash_finds_what_all_pairs_find() -> None:
    rng = random.Random(3)
    vocabulary = ["".join(rng.choices("aeioulmnrst", k=6)) for _ in range(3_000)]
    texts = [" ".join(rng.sample(vocabulary, 15)) for _ in range(EXACT_LIMIT)]
    copies = [" ".join([*text.split()[:-1], "changed"]) for text in texts[:300]]
    found = repetition(texts + copies)
    assert found is not None
    assert found.method == "minhash"
    assert found.copies == pytest.approx(600, abs=12)
    alone = repetition(texts[:-1])
    assert alone is not None
    assert (alone.method, alone.copies) == ("all pairs", 0)


@pytest.mark.parametrize(("threshold", "copies"), [(0.88, 2), (0.9, 2), (0.901, 0)])
def test_a_similarity_of_exactly_the_threshold_is_a_near_copy(
    threshold: float, copies: int
) -> None:
    """9 of 10 letters are the same and in the same order: 2 × 9 / (10 + 10)."""
    texts = ["aaaaaaaaab", "aaaaaaaaac", "nothing of it"]
    found = repetition(texts, threshold)
    assert found is not None
    assert found.copies == copies


def test_copies_are_found_among_more_texts_than_are_compared_at_once() -> None:
    texts = [
        f"{at:04} " + "".join(random.Random(at).choices("abcdefgh", k=40)) for at in range(600)
    ]
    texts[255], texts[256], texts[599] = "the first of two x", "a lonely one", "the first of two y"
    found = repetition(texts)
    assert found is not None
    assert (found.method, found.copies, found.different) == ("all pairs", 2, 600)


def test_the_five_commonest_texts_are_shown_as_first_written() -> None:
    texts = [text for at in range(7) for text in [f"No {at}!" + "?" * 90] * (8 - at)]
    found = repetition(["no 0", *texts, "once only"], 1.0)
    assert found is not None
    assert list(found.most.items()) == [
        ("no 0", 9),
        *((f"No {at}!" + "?" * 75, 8 - at) for at in range(1, 5)),
    ]
    twice = repetition(["so", "so", "once"], 1.0)
    assert twice is not None
    assert twice.most == {"so": 2}


def test_one_template_many_times_is_all_near_copies() -> None:
    texts = [
        f"Welcome to the yearly harvest festival of village number {at}" for at in range(4_000)
    ]
    found = repetition(texts)
    assert found is not None
    assert found.method == "minhash"
    assert found.copies == 4_000


@given(st.lists(st.text(max_size=30), max_size=12))
def test_copies_never_outnumber_texts(texts: list[str]) -> None:
    found = repetition(texts)
    if found is not None:
        assert found.different <= found.texts
        assert 0 <= found.copies <= found.texts
        assert np.isclose(found.share, found.copies / found.texts)
