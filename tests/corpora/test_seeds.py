"""Seeds: the parts of a corpus that are used or dropped, and the counts of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen.corpora.seeds import RULES, Seeds, open_seeds
from convogen.errors import SourceError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "dialogueforge" / "seeds"


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return str(path)


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    said = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": said, **more}


def message(name: str, parent: str | None, **more: Any) -> dict[str, Any]:
    role = "assistant" if len(name) % 2 == 0 else "prompter"
    row = {"message_id": name, "parent_id": parent, "message_tree_id": "a", "role": role}
    return {**row, "text": f"text {name}", "lang": "en", **more}


def tree(names: list[str]) -> list[dict[str, Any]]:
    """Return messages as rows, in which a parent's name is the child's name without the last
    letter."""
    return [message(name, name[:-1] or None) for name in names]


SIX = [f"words {at}" for at in range(6)]

DROPPED = {
    "unreadable": {"messages": "none"},
    "not_english": chat(*SIX, language="German"),
    "not_two_parties": {"messages": [{"role": "user", "content": text} for text in SIX]},
    "too_short": chat("one", "two"),
    "empty_opening": chat(" ", *SIX[1:]),
    "long_opening": chat("long " * 2_000, *SIX[1:]),
    "duplicate": chat(*SIX),
}


@pytest.mark.parametrize("rule", DROPPED)
def test_each_rule_drops_and_is_counted(rule: str, tmp_path: Path) -> None:
    seeds = open_seeds(written(tmp_path / "s.jsonl", [chat(*SIX), DROPPED[rule]]), None, 6)
    assert len(seeds.seeds) == 1
    assert seeds.dropped == {rule: 1}
    assert seeds.about == f"1 of 2 dialogues kept; dropped: {rule} 1"


def test_the_longest_thread_of_a_tree_is_its_seed(tmp_path: Path) -> None:
    names = ["a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdeh", "abcdehi", "abx"]
    seeds = open_seeds(written(tmp_path / "oasst.jsonl", tree(names)), None, 6)
    [seed] = seeds.seeds
    assert seed.id == "abcdefg"
    assert [turn.speaker for turn in seed.turns] == ["user", "assistant"] * 3 + ["user"]
    assert seed.turns[0].text == "text a"
    assert seeds.dropped == {"too_short": 1, "not_longest": 1}


def test_the_longest_english_thread_of_a_tree_of_several_languages(tmp_path: Path) -> None:
    """Only the first messages show the tree's language."""
    rows = tree(["a", "ab", "abc", "abcd", "abce", "abcef"])
    rows += [message(name, name[:-1], lang="de") for name in ("abcdf", "abcdfg")]
    seeds = open_seeds(written(tmp_path / "oasst.jsonl", rows), None, 2)
    assert [seed.id for seed in seeds.seeds] == ["abcef"]
    assert seeds.dropped == {"not_english": 1}


def test_both_answers_to_a_prompt_of_the_arena_are_one_seed(tmp_path: Path) -> None:
    said = chat(*SIX)["messages"]
    row = {"question_id": "q1", "conversation_a": said, "conversation_b": said, "winner": "tie"}
    row |= {"model_a": "m", "model_b": "n", "language": "English"}
    seeds = open_seeds(written(tmp_path / "arena.jsonl", [row]), None, 6)
    assert [seed.id for seed in seeds.seeds] == ["q1"]
    assert seeds.dropped == {"not_longest": 1}


def test_any_corpus_of_two_who_take_turns_gives_seeds(tmp_path: Path) -> None:
    source = written(tmp_path / "plain.jsonl", [["Hi.", "Hello.", "How are you?", "Fine."]])
    [seed] = open_seeds(source, None, 4).seeds
    assert (seed.turns[0].speaker, seed.turns[0].text, seed.task) == ("user", "Hi.", None)


def test_a_chatbot_that_begins_gives_none(tmp_path: Path) -> None:
    said = chat("Welcome!", *SIX)["messages"]
    swapped = [{**one, "role": "user" if one["role"] != "user" else "gpt"} for one in said]
    with pytest.raises(SourceError, match=r"contains no seeds .*not_two_parties 1"):
        open_seeds(written(tmp_path / "s.jsonl", [{"messages": swapped}]), None, 6)


def test_the_summary_is_read_where_there_is_one(tmp_path: Path) -> None:
    rows = [chat(*SIX, task_summary="You want\n to know."), chat(*SIX[::-1], task_summary="")]
    source = written(tmp_path / "s.jsonl", rows)
    assert [seed.task for seed in open_seeds(source, None, 6).seeds] == ["You want to know.", None]


def test_the_hash_is_of_what_is_kept(tmp_path: Path) -> None:
    first = open_seeds(written(tmp_path / "a.jsonl", [chat(*SIX, id="s")]), None, 6)
    same = open_seeds(written(tmp_path / "b.jsonl", [chat(*SIX, id="s"), chat("x")]), None, 6)
    other = open_seeds(written(tmp_path / "c.jsonl", [chat(*SIX, "more", id="s")]), None, 6)
    assert first.hash == same.hash != other.hash


dialogues = st.lists(
    st.builds(
        lambda texts, more: chat(*texts, **more),
        st.lists(st.sampled_from(["", "a", "b", "ж"]), max_size=4),
        st.fixed_dictionaries({}, optional={"lang": st.sampled_from(["en", "de"])}),
    ),
    max_size=8,
)


@given(rows=dialogues)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_a_seed_or_counted(rows: list[Any], tmp_path: Path) -> None:
    """The first dialogue is always good, so that there is at least one seed."""
    source = written(tmp_path / "s.jsonl", [chat("good", "one"), *rows])
    seeds: Seeds = open_seeds(source, None, 2)
    assert len(seeds.seeds) + sum(seeds.dropped.values()) == 1 + len(rows)
    assert set(seeds.dropped) <= set(RULES)
    assert len({seed.id for seed in seeds.seeds}) == len(seeds.seeds)


@pytest.mark.parametrize(
    ("name", "n"), [("oasst1_en_min_6_turns_summary", 413), ("arena_model_a_summaries", 1002)]
)
def test_the_published_seeds_all_pass(name: str, n: int) -> None:
    path = SHARED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    seeds = open_seeds(str(path), None, 6)
    assert (len(seeds.seeds), seeds.dropped) == (n, {})
    assert all(seed.task and seed.task.startswith("You ") for seed in seeds.seeds)


@pytest.mark.parametrize("own", [{}, {"model": "koala-13b"}])
def test_rows_as_the_published_seeds_have_them_all_pass(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Rows have one id or one per message, a person and a bot, the number of turns and a
    summary."""
    rows: list[dict[str, Any]] = []
    for number in range(3):
        ids = [f"m{number}.{at}" for at in range(6)]
        said = [f"Question {number}.{at}?" if at % 2 == 0 else f"So. {at}" for at in range(6)]
        talk = [{"role": ("human", "bot")[at % 2], "content": text} for at, text in enumerate(said)]
        summary = f"You want to know {number} things.\n"
        row = {"conversation_id": ids if not own else ids[0], "conversation": talk, **own}
        rows.append({**row, "turns": 6, "task_summary": summary})
    seeds = open_seeds(written(tmp_path / "s.jsonl", rows), None, 6)
    assert seeds.dropped == {}
    assert [seed.task for seed in seeds.seeds] == [
        f"You want to know {at} things." for at in range(3)
    ]
    assert [turn.speaker for turn in seeds.seeds[0].turns] == ["user", "assistant"] * 3
    assert seeds.seeds[2].turns[4].text == "Question 2.4?"
    assert len({seed.id for seed in seeds.seeds}) == 3


@pytest.mark.parametrize("names", [("Ada", "Bo"), ("#Person1#", "#Person2#"), ("speaker0", "x")])
def test_two_people_are_no_person_and_a_chatbot(names: tuple[str, str], tmp_path: Path) -> None:
    turns = [{"speaker": names[at % 2], "text": text} for at, text in enumerate(SIX)]
    with pytest.raises(SourceError, match=r"contains no seeds .*not_two_parties 1"):
        open_seeds(written(tmp_path / "s.jsonl", [{"turns": turns}]), None, 6)
    turns = [{**one, "speaker": "Vicuna" if at % 2 else "Human"} for at, one in enumerate(turns)]
    assert len(open_seeds(written(tmp_path / "t.jsonl", [{"turns": turns}]), None, 6).seeds) == 1
