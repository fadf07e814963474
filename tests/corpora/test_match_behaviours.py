"""Openers, disfluency and friction are steered and gated like punctuation."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from convogen import Experiment, run
from convogen.corpora import open_corpus
from convogen.corpora.conversation_shapes import Shape, Shapes
from convogen.errors import ExperimentError, SourceError
from convogen.methods.convogen.method import ConvoGen
from convogen.methods.convogen.steering import REACTIONS, STEERABLE, starter_note
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.realism.features import features_named, measure, turn_marks
from convogen.realism.samples import dialogue_of
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Run

FEATURES = (
    "first_person_starts",
    "assessment_starts",
    "hesitation",
    "hedging",
    "disagreement",
    "topic_change",
)
OBEYS = 0.75
"""Probability that the model follows an instruction about a turn, independently for each feature.
"""

FILLING = (
    "the dog and the kettle were on the table by the window with a map of the town in the rain "
    "while our neighbour had left for the market with her old bike and two bags of bread that "
    "nobody wanted because the oven of the bakery was out of order since the storm in spring"
).split()


def said(rng: random.Random, words: int, *, does: frozenset[str]) -> str:
    """Return a turn of a given length with exactly these features."""
    opener = ""
    if "first_person_starts" in does:
        opener = "I saw "
    elif "assessment_starts" in does:
        opener = "Great, "
    parts = [
        f"{opener}um, " if "hesitation" in does else opener,
        "maybe " if "hedging" in does else "",
        " ".join(rng.choices(FILLING, k=max(3, words - 6))),
        ", I don't agree with you there" if "disagreement" in does else "",
        ", by the way" if "topic_change" in does else "",
    ]
    return "".join(parts) + "."


def people(path: Path, n: int = 120) -> Path:
    """Write conversations between people, each with different habits."""
    rng = random.Random(5)
    rows: list[dict[str, object]] = []
    for nth in range(n):
        habits = dict(zip(FEATURES, (0.4, 0.1, 0.2, 0.1, 0.25, 0.15), strict=True))
        habits = {name: rng.choice((0.5, 1.5)) * rate for name, rate in habits.items()}
        turns = [
            {
                "speaker": "AB"[at % 2],
                "text": said(
                    rng,
                    rng.randint(9, 13),
                    does=frozenset(name for name in FEATURES if rng.random() < habits[name]),
                ),
            }
            for at in range(8)
        ]
        rows.append({"id": f"h{nth}", "turns": turns})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


HABITS = dict(zip(FEATURES, (0.05, 0.85, 0.0, 0.5, 0.0, 0.0), strict=True))
"""The model's own habits: it praises, hedges and agrees."""


def script(request: Request) -> str:
    if request.role not in ("agent", "generator"):
        return improvise(request)
    rng = random.Random(request.hash)
    asked = request.messages[-1].content
    if request.role == "generator":
        experience = json.loads(improvise(request))
        experience["starter"]["text"] = told(rng, asked.partition("In the text of")[2])
        return json.dumps(experience)
    return told(rng, asked)


def told(rng: random.Random, asked: str) -> str:
    """Return a turn that partly follows the instructions in `asked`."""
    does = set[str]()
    for name in FEATURES:
        wanted, unwanted = STEERABLE[name]
        own = rng.random() < HABITS[name]
        if rng.random() < OBEYS:
            refused = unwanted in asked
            own = not refused and (wanted in asked or own)
        if own:
            does.add(name)
    words = int(found[-1]) if (found := re.findall(r"about (\d+) word", asked)) else 10
    return said(rng, words, does=frozenset(does))


def experiment(corpus: Path, n: int, **keys: object) -> Experiment:
    overrides = {
        "n": n,
        "models": "scripted",
        "iterative": False,
        "near_copy": 1.0,
        "personas": "generated",
        "participants": 2,
        "match": str(corpus),
        "match_features": list(FEATURES),
    }
    return Experiment.load("demo", overrides={**overrides, **keys})


def played(made: Experiment, out: Path) -> Run:
    return run(made, out, open_model=lambda _: ScriptedModel(script))


def values(source: str | Path) -> np.ndarray:
    dialogues = [found for one in open_corpus(source) if (found := dialogue_of(one))]
    return measure(dialogues, features_named(FEATURES))


def test_the_gap_in_each_feature_closes_by_half_at_most_twice_the_calls(tmp_path: Path) -> None:
    corpus, n = people(tmp_path / "people.jsonl"), 80
    before = played(experiment(corpus, n, match_features=[]), tmp_path / "before")
    after = played(experiment(corpus, n), tmp_path / "after")
    human = values(corpus)
    ours, theirs = values(tmp_path / "after"), values(tmp_path / "before")
    for at, name in enumerate(FEATURES):
        gap = wasserstein_distance(theirs[:, at], human[:, at])
        left = wasserstein_distance(ours[:, at], human[:, at])
        print(f"{name}: {gap:.3f} before, {left:.3f} after")
        assert left <= gap / 2, name
    assert len(list(after.conversations())) == n
    calls = [sum(1 for _ in one.ledger()) for one in (before, after)]
    print(f"calls: {calls[0]} before, {calls[1]} after")
    assert calls[1] <= 2 * calls[0]


def talk(*turns: tuple[str, str]) -> Conversation:
    return Conversation(id="c", turns=[Turn(speaker=who, text=text) for who, text in turns])


def test_marks_see_the_turns_before() -> None:
    conversation = talk(
        ("A", "Where were you on the day of the storm?"),
        ("B", "Why do you ask?"),
        ("A", " "),
        ("A", "I was going to say that—"),
        ("B", "No, it was not like that, um, at all."),
        ("A", "By the way, the kettle is on."),
    )
    names = ("counter_questions", "cut_off_turns", "disagreement", "hesitation", "topic_change")
    marks = turn_marks(conversation, features_named(names))
    assert [sorted(turn) for turn in marks] == [
        [],
        ["counter_questions"],
        [],
        ["cut_off_turns"],
        ["disagreement", "hesitation"],
        ["topic_change"],
    ]
    [shape] = list(Shapes.from_corpus([conversation], names))
    assert shape.marks == marks
    # Without instructions, no turn disagrees with anything.
    alone = [
        turn_marks(talk((turn.speaker, turn.text)), features_named(names))
        for turn in conversation.turns
    ]
    assert not any("disagreement" in marks[0] for marks in alone)


def test_a_starter_is_not_told_how_to_react() -> None:
    shape = Shape((5,), (0,), (frozenset({"hesitation"}),))
    assert starter_note(shape, [*REACTIONS]) is None
    note = starter_note(shape, ["disagreement", "hesitation"])
    assert note == f"(In the text of the starter: {STEERABLE['hesitation'][0]}.)"
    assert {*STEERABLE} >= REACTIONS


def test_what_rules_cannot_tell_in_a_language_is_refused(tmp_path: Path) -> None:
    german = tmp_path / "leute.jsonl"
    turns = [
        {"speaker": "Ana", "text": "Wollen wir am Sonntag mit den anderen in die Stadt?"},
        {"speaker": "Ben", "text": "Ja, das ist eine gute Idee, aber nicht zu früh."},
    ]
    rows = [{"id": f"p{nth}", "turns": turns} for nth in range(30)]
    german.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    keys = {"match": str(german), "match_features": ["commas", "hedging"]}
    with pytest.raises(SourceError, match="hedging can only be detected in English"):
        _ = ConvoGen.model_validate(keys).shapes
    gate = {"gate": "profile", "corpus": str(german), "features": ["hedging"]}
    with pytest.raises(SourceError, match="hedging can only be detected in English"):
        _ = Experiment({"name": "x", "gates": [gate]}).fingerprint
    assert ConvoGen.model_validate({**keys, "match_features": ["commas"]}).shapes
    with pytest.raises(
        ExperimentError, match=r"hedging can only be detected .* \(language: de\)"
    ) as caught:
        Experiment({"name": "x", **keys, "language": ["en", "de"]})
    assert "\n" not in str(caught.value)


def test_words_of_other_features_do_not_change_a_fingerprint(tmp_path: Path) -> None:
    corpus = people(tmp_path / "people.jsonl", 40)
    hashes = [
        ConvoGen.model_validate({"match": str(corpus), "match_features": names}).sources()
        for names in (["commas"], ["commas", "hedging"])
    ]
    assert hashes[0]["steering"] != hashes[1]["steering"]
