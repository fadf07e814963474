"""Shape control: conversations take their turn counts and turn lengths from a human corpus."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, run
from convogen.corpora import open_corpus
from convogen.corpora.conversation_shapes import Shapes
from convogen.errors import SourceError
from convogen.metrics import Distance, distance, measure
from convogen.models.backends.scripted import WORDS, ScriptedModel, improvise
from convogen.models.base import Request
from convogen.records import Conversation

ASKED = re.compile(r"about (\d+) word")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write forty conversations of 3 to 8 short turns between two or three people."""
    rng = random.Random(1)
    rows = [
        {
            "turns": [
                {"speaker": f"S{at % people}", "text": " ".join(["word"] * rng.randint(2, 14))}
                for at in range(rng.randint(3, 8))
            ]
        }
        for people in (2, 3)
        for _ in range(20)
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def words(n: int, rng: random.Random) -> str:
    """Return `n` words in sentences of seven words."""
    said = rng.choices(WORDS, k=n)
    return ". ".join(" ".join(said[at : at + 7]) for at in range(0, n, 7)) + "."


def talkative(request: Request) -> str:
    """Write thirty or more words, or up to twice the requested number."""
    if request.role != "agent":
        return improvise(request)
    rng = random.Random(request.hash)
    asked = ASKED.findall(request.messages[-1].content)
    n = round(int(asked[-1]) * rng.uniform(0.7, 2)) if asked else rng.randint(30, 50)
    return words(max(1, n), rng)


def played(
    out: Path, script: Callable[[Request], str] = talkative, **keys: object
) -> list[Conversation]:
    own = {"n": 6, "models": "scripted", "iterative": False, "near_copy": 1.0}
    given = {**own, "personas": "generated", **keys}
    model = ScriptedModel(script)
    done = run(Experiment.load("demo", overrides=given), out, open_model=lambda _: model)
    return list(done.conversations())


def apart(out: Path, corpus: Path) -> Distance:
    found = distance(measure(open_corpus(out)), measure(open_corpus(corpus)))
    assert found is not None
    return found


def test_lengths_come_at_least_half_as_near_to_the_corpus(corpus: Path, tmp_path: Path) -> None:
    played(tmp_path / "before", n=24)
    played(tmp_path / "after", n=24, match=str(corpus), max_turns=200)
    before, after = apart(tmp_path / "before", corpus), apart(tmp_path / "after", corpus)
    assert after.turn_length < 0.5 * before.turn_length
    assert after.turn_count < before.turn_count


def test_each_conversation_has_a_shape_of_the_corpus(corpus: Path, tmp_path: Path) -> None:
    shapes = Shapes.from_corpus(open_corpus(corpus))
    known = {shape.turn_words: shape for shape in (shapes[at] for at in range(len(shapes)))}
    for conversation in played(tmp_path / "run", match=str(corpus), max_turns=200):
        targets = tuple(turn.target_words or 0 for turn in conversation.turns)
        assert targets in known
        assert len(conversation.participants) == max(2, known[targets].n_speakers)


def test_a_smaller_cap_on_turns_cuts_the_shape(corpus: Path, tmp_path: Path) -> None:
    found = played(tmp_path / "run", match=str(corpus), max_turns=4)
    assert {len(conversation.turns) for conversation in found} <= {3, 4}


def test_without_a_cap_of_ones_own_the_corpus_decides(corpus: Path) -> None:
    assert Experiment({"name": "x"}).method.model_dump()["max_turns"] == 10
    matched = Experiment({"name": "x", "match": str(corpus)})
    assert matched.method.model_dump()["max_turns"] == 200


def test_the_same_bytes_at_any_concurrency(corpus: Path, tmp_path: Path) -> None:
    written: set[bytes] = set()
    for concurrency in (1, 16):
        out = tmp_path / f"run-{concurrency}"
        played(out, match=str(corpus), max_turns=200, concurrency=concurrency)
        written.add((out / "conversations.jsonl").read_bytes())
    assert len(written) == 1


def test_what_the_corpus_holds_is_in_the_fingerprint_and_where_it_lies_is_not(
    corpus: Path, tmp_path: Path
) -> None:
    def fingerprint(path: Path | None) -> str:
        match = {"match": str(path)} if path else {}
        return Experiment({"name": "x", "max_turns": 10, **match}).fingerprint

    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(corpus.read_bytes())
    other = tmp_path / "other.jsonl"
    other.write_bytes(corpus.read_bytes().replace(b"word word", b"word", 1))
    assert fingerprint(corpus) == fingerprint(moved)
    assert len({fingerprint(corpus), fingerprint(other), fingerprint(None)}) == 3


def agents(asked: list[Request], *replies: str) -> Callable[[Request], str]:
    """Return a script in which agents say these replies in turn and then repeat the last one."""

    def script(request: Request) -> str:
        if request.role != "agent":
            return improvise(request)
        asked.append(request)
        return replies[min(len(asked), len(replies)) - 1]

    return script


@pytest.fixture
def two_turns(tmp_path: Path) -> Path:
    """Write a corpus with one conversation, whose reply has ten words."""
    path = tmp_path / "two.jsonl"
    turns = [{"speaker": "A", "text": "Hi."}, {"speaker": "B", "text": " ".join(["word"] * 10)}]
    path.write_text(json.dumps({"turns": turns}) + "\n", "utf-8")
    return path


def test_a_reply_far_off_is_asked_for_again_and_told_why(two_turns: Path, tmp_path: Path) -> None:
    asked: list[Request] = []
    script = agents(asked, " ".join(WORDS[:30]), " ".join(WORDS[:11]))
    [conversation] = played(tmp_path / "run", script, n=1, match=str(two_turns))
    turn = conversation.turns[1]
    assert (len(turn.text.split()), turn.reasks, turn.target_words) == (11, ["too_long"], 10)
    assert "about 10 words" in asked[0].messages[-1].content
    assert "had 30" in asked[1].messages[-1].content


def test_the_best_of_the_tries_is_kept(two_turns: Path, tmp_path: Path) -> None:
    asked: list[Request] = []
    script = agents(asked, "No.", " ".join(WORDS[:16]), " ".join(WORDS[:40]))
    [conversation] = played(tmp_path / "run", script, n=1, match=str(two_turns), reasks=2)
    turn = conversation.turns[1]
    assert len(asked) == 3
    assert (len(turn.text.split()), turn.reasks) == (16, ["too_short", "too_long"])
    assert turn.request == asked[1].hash


def test_a_long_reply_is_cut_at_the_sentence_that_comes_nearest(
    two_turns: Path, tmp_path: Path
) -> None:
    asked: list[Request] = []
    rest = f" Ten eleven. {' '.join(WORDS[:20])}."
    script = agents(asked, f"One two three four. Five six seven eight nine.{rest}")
    [conversation] = played(tmp_path / "run", script, n=1, match=str(two_turns))
    turn = conversation.turns[1]
    assert (turn.text, turn.reasks) == ("One two three four. Five six seven eight nine.", [])
    assert len(asked) == 1


def test_the_room_for_a_reply_follows_from_its_words_unless_the_user_says_more(
    two_turns: Path, tmp_path: Path
) -> None:
    asked: list[Request] = []
    script = agents(asked, " ".join(WORDS[:10]))
    played(tmp_path / "own", script, n=1, match=str(two_turns))
    room = {"sampling": {"agent": {"max_tokens": 1000}}}
    played(tmp_path / "given", script, n=1, match=str(two_turns), **room)
    assert [request.sampling.max_tokens for request in asked] == [64, 1000]


def test_a_corpus_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    ended = convogen(
        "run", "demo", "--model", "scripted", "--match", tmp_path / "none", "--out", tmp_path / "x"
    )
    assert ended.status == 2
    assert "no such file" in ended.complaint
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"turns": []}\n', "utf-8")
    with pytest.raises(SourceError, match="contains no conversations"):
        _ = Experiment({"name": "x", "match": str(empty)}).fingerprint


def test_a_run_can_be_played_again_from_its_calls(corpus: Path, tmp_path: Path) -> None:
    played(tmp_path / "run", improvise, n=3, match=str(corpus))
    ended = convogen("replay", tmp_path / "run")
    assert ended.status == 0, ended.err


def test_the_report_shows_the_distance_before_and_after(corpus: Path, tmp_path: Path) -> None:
    before, after, other = (tmp_path / name for name in ("before", "after", "other"))
    played(before, n=3)
    played(after, n=3, match=str(corpus), max_turns=200)
    played(other, n=3, match=str(corpus), max_turns=200, seed=7, allow_repeats=True)
    out = tmp_path / "report"
    ended = convogen("report", after, other, "--baseline", before, "--out", out, "--json")
    numbers = json.loads(ended.out)
    assert numbers["runs"]["before"]["matching"] is None
    assert numbers["runs"]["after"]["matching"]["turns"] > 0
    page = (out / "report.md").read_text("utf-8")
    changed = next(
        line for line in page.splitlines() if "turn lengths, words" in line and "%" in line
    )
    apart = [
        numbers["runs"][name]["distances"]["corpus.jsonl"]["turn_length"]
        for name in ("before", "after")
    ]
    assert [f"{value:.2f}" for value in apart] == [cell.strip() for cell in changed.split("|")[2:4]]
    assert "Mean deviation, words" in page
    told = [limit for limit in numbers["limits"] if "differs from the baseline" in limit]
    assert len(told) == 1
    assert told[0].startswith("other: ")
    assert "(seed, allow_repeats)" in told[0] or "(allow_repeats, seed)" in told[0]


def test_a_run_whose_corpus_is_gone_can_still_be_measured(corpus: Path, tmp_path: Path) -> None:
    played(tmp_path / "run", n=2, match=str(corpus))
    beside = json.loads(convogen("evaluate", tmp_path / "run", "--json").out)["against"]
    assert list(beside) == [str(corpus)]
    corpus.unlink()
    ended = convogen("evaluate", tmp_path / "run", "--json")
    assert (ended.status, json.loads(ended.out)["against"]) == (0, {})
