"""Separation of generated from human conversations: detected and undetected differences, and
errors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from command_line import convogen
from habits import converse
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.errors import SourceError, UserError
from convogen.realism import compare, sample
from convogen.realism.comparing import families_of
from convogen.realism.samples import FEWEST, MOST, Dialogue, grouped
from convogen.realism.two_sample import false_alarms, folds, separations
from convogen.records import Conversation, Turn

SHARED = Path(__file__).parents[3] / "shared" / "data" / "dialogueforge"


def _sample(conversations: Iterable[Conversation], **options: object) -> list[Dialogue]:
    return sample(conversations, "corpus", **options)  # type: ignore[arg-type]


def _write(path: Path, conversations: Iterable[Conversation]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for one in conversations:
            turns = [{"speaker": turn.speaker, "text": turn.text} for turn in one.turns]
            file.write(json.dumps({"id": one.id, "turns": turns}) + "\n")
    return path


def test_a_habit_is_found_named_and_has_its_direction() -> None:
    generated = _sample(converse(80, seed=1, questions=0.8))
    human = _sample(converse(80, seed=2, questions=0.2))
    found = compare(generated, human, permutations=99)
    assert found.separations["surface"].auc > 0.9
    assert found.separations["surface"].p == 0.01
    first = found.telltales[0]
    assert first.name == "question_turns"
    assert first.effect > 0.5
    # five of six turns are drawn, the opening is never a question
    assert first.generated == pytest.approx(0.8 * 5 / 6, abs=0.06)
    assert first.human == pytest.approx(0.2 * 5 / 6, abs=0.06)


def test_a_word_is_found_though_no_named_feature_has_it() -> None:
    generated = _sample(converse(80, seed=1, word="lovely"))
    human = _sample(converse(80, seed=2, word="silly"))
    found = compare(generated, human, permutations=19)
    assert found.separations["tfidf"].auc > 0.95
    words = {one.word: one for one in found.words}
    assert words["lovely"].z > 0 > words["silly"].z
    assert (words["lovely"].generated, words["lovely"].human) == (1.0, 0.0)
    assert all("Lovely" in one.text for one in found.examples)
    assert found.examples[0].conversation.startswith("1-")


def test_corpora_alike_are_not_told_apart() -> None:
    found = compare(
        _sample(converse(80, seed=1)), _sample(converse(80, seed=2)), permutations=39, halves=20
    )
    for name, one in found.separations.items():
        assert 0.25 < one.auc < 0.7, name
        assert one.p is not None
        assert one.p > 0.025, name
    assert all(0.4 < one.auc < 0.6 for one in found.controls.values())


def test_the_same_seed_gives_the_same_numbers() -> None:
    generated, human = _sample(converse(40, seed=1)), _sample(converse(50, seed=2, questions=0.5))
    first = compare(generated, human, permutations=19, halves=5, seed=3)
    assert compare(generated, human, permutations=19, halves=5, seed=3) == first
    assert compare(generated, human, permutations=19, halves=5, seed=4) != first


def test_pairs_of_the_same_seed_are_never_on_both_sides() -> None:
    """Otherwise, shared openings would be learned in one fold and recognized in another."""
    opening = "{index} o'clock is when the boats go out"
    both = [*converse(40, seed=1, opening=opening), *converse(40, seed=2, opening=opening)]
    groups = grouped(_sample(both))
    assert groups[:40] == groups[40:]
    for train, test in folds(groups, 0):
        assert not {groups[at] for at in train} & {groups[at] for at in test}


@given(st.lists(st.sets(st.integers(0, 12), max_size=3), min_size=1, max_size=30))
def test_groups_are_the_connected_components(keys: list[set[int]]) -> None:
    dialogues = [
        Dialogue(f"{at}", (("A", "x"),), frozenset({f"own {at}", *map(str, of)}))
        for at, of in enumerate(keys)
    ]
    groups = grouped(dialogues)
    # an independent method: spread each number to dialogues with a common key until it is stable
    lowest = list(range(len(keys)))
    for _ in keys:
        for one in range(len(keys)):
            for other in range(len(keys)):
                if dialogues[one].keys & dialogues[other].keys:
                    lowest[one] = min(lowest[one], lowest[other])
    together = [[a == b for b in lowest] for a in lowest]
    assert [[a == b for b in groups] for a in groups] == together


def test_greetings_do_not_make_groups_but_experiences_and_seeds_do() -> None:
    def one(index: int, **more: object) -> Conversation:
        turns = [Turn(speaker="A", text="Hi!"), Turn(speaker="B", text=f"Number {index}")]
        return Conversation.model_validate({"id": f"{index}", "turns": turns, **more})

    many = [one(at) for at in range(FEWEST)]
    related = [one(100, experience="e"), one(101, experience="e", context={"seed": "s"})]
    seeded = [one(102, context={"seed": "s"})]
    groups = grouped(_sample([*many, *related, *seeded]))
    assert len(set(groups)) == FEWEST + 1
    assert groups[-3] == groups[-2] == groups[-1]


def test_labels_are_permuted_within_groups_that_have_both() -> None:
    """In pairs, differences between groups do not separate the corpora, which have the same
    groups."""
    rng = np.random.default_rng(0)
    of_groups = np.repeat(rng.normal(size=40), 2)

    class Source:
        def kernels(self, train: np.ndarray, test: np.ndarray) -> object:
            from convogen.realism.two_sample import FoldKernels

            values = (of_groups + np.tile([0.05, -0.05], 40))[:, None]
            return FoldKernels(values[train] @ values[train].T, values[test] @ values[train].T)

    labels, groups = [True, False] * 40, [at // 2 for at in range(80)]
    found = separations({"one": Source()}, labels, groups, permutations=99, seed=0)["one"]  # type: ignore[dict-item]
    assert found.auc < 0.65
    assert found.p == 0.01


def test_halves_of_people_raise_alarms_as_often_as_they_may() -> None:
    """At 5%, about 5 of 100 halves raise an alarm; 12 or more have a probability below 1%."""
    human = _sample(converse(60, seed=3))
    families = families_of(human)
    rates = false_alarms(families, grouped(human), halves=100, permutations=39, seed=1)
    assert set(rates) == {*families, "all"}
    assert all(rate <= 0.11 for rate in rates.values())
    assert any(rate > 0 for rate in rates.values())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (str.lower, "case"),
        (lambda text: text.replace(".", " .").replace("?", " ?"), "tokenisation"),
    ],
)
def test_typography_of_a_file_is_no_tell(change: object, name: str) -> None:
    human = [
        one.model_copy(
            update={
                "turns": [
                    turn.model_copy(update={"text": change(turn.text)})  # type: ignore[operator]
                    for turn in one.turns
                ]
            }
        )
        for one in converse(60, seed=2)
    ]
    found = compare(_sample(converse(60, seed=1)), _sample(human), permutations=39)
    assert [one.name for one in found.normalisations] == [name]
    assert found.separations["all"].p is not None
    assert found.separations["all"].p > 0.025
    assert found.separations["surface"].auc < 0.7


def test_what_differs_within_the_ordinary_is_left_alone() -> None:
    half = [
        one.model_copy(
            update={"turns": [t.model_copy(update={"text": t.text.lower()}) for t in one.turns]}
        )
        if at % 3 == 0
        else one
        for at, one in enumerate(converse(60, seed=2))
    ]
    found = compare(_sample(converse(60, seed=1)), _sample(half), permutations=0)
    assert found.normalisations == []
    assert "lower_case_starts" in {one.name for one in found.telltales[:3]}


@given(extra=st.integers(0, 30), seed=st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_a_large_corpus_is_sampled_in_its_order(extra: int, seed: int) -> None:
    def one(index: int) -> Conversation:
        return Conversation(id=f"{index}", turns=[Turn(speaker="A", text="x")])

    found = _sample((one(at) for at in range(MOST + extra)), seed=seed)
    ids = [int(dialogue.id) for dialogue in found]
    assert len(ids) == MOST
    assert ids == sorted(ids)
    assert len(set(ids)) == MOST


def test_turns_that_are_compared() -> None:
    turns = [Turn(speaker=who, text=text) for who, text in zip("ABACBA", "123456", strict=True)]
    both = [Conversation(id=f"{at}", turns=turns) for at in range(FEWEST)]
    assert _sample(both)[0].texts == [*"123456"]
    assert _sample(both, turns="opener", skip=1)[0].texts == ["3", "6"]
    assert _sample(both, turns="others")[0].texts == ["2", "4", "5"]
    assert _sample(both, skip=1, first=4)[0].texts == ["2", "3", "4"]


def test_small_samples_are_refused_in_one_line(tmp_path: Path) -> None:
    few = _write(tmp_path / "few.jsonl", converse(FEWEST - 1, seed=1))
    enough = _write(tmp_path / "enough.jsonl", converse(FEWEST, seed=2))
    ended = convogen("realism", few, "--against", enough)
    assert ended.status == 2
    assert f"few.jsonl: too few conversations to compare ({FEWEST - 1})" in ended.complaint
    ended = convogen("realism", enough, "--against", enough, "--skip", 6)
    assert "too few conversations to compare (0)" in ended.complaint
    same = "we always meet again at this same place"
    with pytest.raises(UserError, match=r"independent groups of conversations \(1\)"):
        compare(
            _sample(converse(40, seed=1, opening=same)), _sample(converse(40, seed=2, opening=same))
        )
    with pytest.raises(SourceError, match="too few conversations"):
        _sample([])


def test_the_command_prints_and_writes_json(tmp_path: Path) -> None:
    generated = _write(tmp_path / "generated.jsonl", converse(50, seed=1, questions=0.9))
    human = _write(tmp_path / "human.jsonl", converse(50, seed=2, questions=0.1))
    args = ("realism", generated, "--against", human, "--permutations", "19")
    ended = convogen(*args)
    assert ended.status == 0
    assert "turns that end with a question mark" in ended.out
    assert "human halves" in ended.out
    whole = json.loads(convogen(*args, "--json").out)
    (corpus,) = whole["corpora"]
    assert corpus["separations"]["surface"]["auc"] > 0.9
    assert corpus["separations"]["surface"]["p"] == 0.05
    assert corpus["controls"]["all"]["halves"] == 50
    assert corpus["telltales"][0]["name"] == "question_turns"


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared DialogueForge files")
def test_gpt_4o_is_told_by_surface_and_words_and_a_tuned_model_less() -> None:
    """The data are DialogueForge's own files: the inquirers' turns after the seed."""
    from convogen.corpora import open_corpus

    def of(name: str) -> list[Dialogue]:
        return sample(open_corpus(str(SHARED / name)), name, turns="opener", skip=1, first=6)

    human = of("seeds/oasst1_en_min_6_turns_summary.jsonl")
    strong = compare(
        of("generated/oasst1_en_GPT4o_GPT4oMini_6.jsonl"),
        human,
        turns="opener",
        permutations=0,
        halves=8,
    )
    tuned = compare(
        of("generated/oasst1_en_llama_3b_v2_GPT4oMini_6.jsonl"),
        human,
        turns="opener",
        permutations=0,
        halves=1,
    )
    assert strong.separations["surface"].auc >= 0.93
    assert strong.separations["tfidf"].auc >= 0.93
    for family in ("surface", "tfidf"):
        assert tuned.separations[family].auc < strong.separations[family].auc - 0.15
        assert strong.controls[family].low < 0.5 < strong.controls[family].high


def test_the_report_has_how_a_run_is_told_from_people(tmp_path: Path) -> None:
    from convogen import Experiment, run

    chosen = Experiment.load("GPIS-s", {"models": "scripted", "n": FEWEST, "max_turns": 3})
    made = run(chosen, tmp_path / "run")
    human = _write(tmp_path / "human.jsonl", converse(40, seed=2))
    few = _write(tmp_path / "few.jsonl", converse(5, seed=3))
    out = tmp_path / "page"
    ended = convogen("report", made.folder, "--against", human, "--against", few, "--out", out)
    assert ended.status == 0, ended.err
    page = (out / "report.md").read_text("utf-8")
    assert "Distinguished from human" in page
    assert "Distinguished from few" not in page
    assert "What distinguishes run from human" in page
    whole = json.loads((out / "report.json").read_text("utf-8"))
    (corpus,) = whole["realism"]["run"].values()
    assert corpus["separations"]["all"]["auc"] > 0.9
