"""The decisions of each gate about one conversation, at its limits and on either side of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sessions import scripted_session

from convogen.errors import ExperimentError
from convogen.gates import Gate, GateLine
from convogen.gates.guard import Guard
from convogen.gates.judge import JudgeGate
from convogen.gates.min_turns import MinTurns
from convogen.gates.near_duplicate import NearDuplicate
from convogen.gates.rule import Rule
from convogen.gates.safety import Safety
from convogen.models.base import Request
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Outcome, Run

Said = str | Callable[[Request], Any]


def talk(texts: Sequence[str], task: int = 0) -> Conversation:
    turns = [Turn(speaker=f"P{nth % 2 + 1}", text=text) for nth, text in enumerate(texts)]
    return Conversation(id=f"c-{task}", task=task, turns=turns)


def decided(folder: Path, gates: Sequence[Gate], texts: Sequence[str], said: Said = "") -> Outcome:
    """Return the outcome of the gates for a conversation with these texts, if all models reply
    `said`."""
    roles = {role: drawn for gate in gates for role, drawn in gate.roles.items()}
    script = (lambda _: said) if isinstance(said, str) else said

    async def check() -> Outcome:
        session = scripted_session(folder, roles, script)
        line = GateLine(gates, Run(folder))
        line.restore()
        return line.decide(await line.check(Outcome(conversation=talk(texts, 7)), session))

    return asyncio.run(check())


def rejection(
    folder: Path, gate: Gate, texts: Sequence[str], said: Said = ""
) -> tuple[str, float | str | None] | None:
    """Return the reason and the value, or None if the conversation passes; it must be unchanged."""
    outcome = decided(folder, [gate], texts, said)
    if outcome.rejected is None:
        assert outcome.conversation == talk(texts, 7)
        return None
    assert outcome.conversation is None
    kept = outcome.rejected
    assert (kept.id, kept.task, kept.gate) == ("c-7", 7, gate.name)
    assert kept.conversation == talk(texts, 7)
    return kept.reason, kept.value


def test_exactly_as_many_turns_as_asked_for_pass(tmp_path: Path) -> None:
    gate = MinTurns(turns=3)
    assert rejection(tmp_path, gate, ["a", "b"]) == ("2 turns, fewer than 3", 2)
    assert rejection(tmp_path, gate, ["a", "b", "c"]) is None
    assert rejection(tmp_path, gate, ["a", "b", "c", "d"]) is None


def test_the_word_list_tells_the_turn_and_who_said_it(tmp_path: Path) -> None:
    texts = ["Well.", "Oh Sh1t.", "shit"]
    found = rejection(tmp_path, Safety(), texts)
    assert found == ("turn 2, P2: 'shit' is on the word list", "shit")
    assert rejection(tmp_path, Safety(), ["Well.", "Oh."]) is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("safe", None),
        ("unsafe\nS1, s10", ("unsafe: Violent crimes, Hate", "S1,S10")),
        ("unsafe\nX9", ("unsafe: X9", "X9")),
        ("unsafe", ("unsafe: no category named", "no category named")),
        ("well  \n yes", ("neither safe nor unsafe: 'well yes'", None)),
        ("x" * 300, (f"neither safe nor unsafe: '{'x' * 200}'", None)),
    ],
)
def test_a_guards_answer(said: str, found: tuple[str, str | None] | None, tmp_path: Path) -> None:
    assert rejection(tmp_path, Guard(), ["Hello."], said) == found


@pytest.mark.parametrize("reasks", [0, 1, 3])
def test_a_guard_is_asked_again_as_often_as_it_says_and_no_more(
    reasks: int, tmp_path: Path
) -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return "safe" if len(asked) > reasks + 1 else "hm"

    found = rejection(tmp_path, Guard(reasks=reasks), ["<END CONVERSATION> so", "Yes."], script)
    assert found == ("neither safe nor unsafe: 'hm'", None)
    assert [request.role for request in asked] == ["guard"] * (reasks + 1)
    assert {request.choices for request in asked} == {("safe", "unsafe")}
    shown = asked[0].messages[-1].content
    assert shown.count("<END CONVERSATION>") == 1  # the prompt's own
    assert "P1:  so\nP2: Yes." in shown
    for code, name in (("S1", "Violent crimes"), ("S13", "Elections")):
        assert f"{code}: {name}" in shown


ASPECTS = ["engagingness", "coherence"]


@pytest.mark.parametrize(
    ("least", "found"),
    [(1.4, None), (1.5, None), (1.6, ("score 1.50 for engagingness, coherence, below 1.6", 1.5))],
)
def test_the_mean_of_the_aspects_is_held_against_the_lowest_score(
    least: float, found: tuple[str, float] | None, tmp_path: Path
) -> None:
    """Engagingness is 1 and coherence is 2, so the mean is 1.5."""

    def script(request: Request) -> str:
        return "1" if "Engagingness" in request.messages[-1].content else "2"

    gate = JudgeGate(judge="geval3", aspects=ASPECTS, min_score=least)
    assert rejection(tmp_path, gate, ["Hello.", "Yes."], script) == found


def test_without_a_score_a_conversation_is_rejected(tmp_path: Path) -> None:
    gate = JudgeGate(judge="geval3", aspects=ASPECTS, min_score=1)
    reason, value = rejection(tmp_path, gate, ["Hello."], "none") or ("", 0)
    assert reason.startswith("no score for engagingness: no single score from 1 to 3 in the reply")
    assert value is None


def test_what_a_judge_needs_and_knows_is_said(tmp_path: Path) -> None:
    grounded = JudgeGate(min_score=1)
    with pytest.raises(ExperimentError, match="but conversation c-7 has no experience"):
        decided(tmp_path, [grounded], ["Hello."])
    unknown = JudgeGate(judge="geval3", aspects=["wit", "coherence"], min_score=1)
    with pytest.raises(ExperimentError, match="'wit' is not known; allowed: engagingness, natur"):
        decided(tmp_path, [unknown], ["Hello."])
    highest = JudgeGate(judge="geval3", aspects=ASPECTS, min_score=3)
    assert highest.never_passed(None, experiences=False) is None
    more = highest.model_copy(update={"min_score": 3.5})
    assert more.never_passed(None, experiences=False) == (
        "min_score: 3.5 exceeds 3, the highest score from geval3"
    )


WORDS = "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj".split()


@pytest.mark.parametrize(
    ("threshold", "rejected"), [(0.9, True), (45 / 49, True), (0.9184, False), (1.0, False)]
)
def test_a_similarity_of_exactly_the_threshold_is_a_near_copy(
    threshold: float, rejected: bool, tmp_path: Path
) -> None:
    """One of ten words of four letters differs: 2 × 45 / (49 + 49) characters are in order."""
    earlier = [talk([" ".join([*WORDS[:8], "yyyy", "zzzz"])], 2), talk([" ".join(WORDS)], 3)]
    (tmp_path / "conversations.jsonl").write_bytes(b"".join(one.to_line() for one in earlier))
    found = rejection(
        tmp_path, NearDuplicate(threshold=threshold), ["Zzzz! IIII hhhh", " ".join(WORDS[:7])]
    )
    assert found == (("similarity 0.918 to c-3", 0.9184) if rejected else None)


def test_the_same_words_are_a_near_copy_at_any_threshold_and_no_words_at_none(
    tmp_path: Path,
) -> None:
    earlier = [talk([" ".join(WORDS)], 3), talk(["?!"], 4), talk([" ".join(WORDS)], 5)]
    (tmp_path / "conversations.jsonl").write_bytes(b"".join(one.to_line() for one in earlier))
    gate = NearDuplicate(threshold=1)
    assert rejection(tmp_path, gate, WORDS[::-1]) == ("similarity 1.000 to c-3", 1.0)
    assert rejection(tmp_path, gate, ["?!", "..."]) is None


def test_only_the_first_8000_characters_are_compared(tmp_path: Path) -> None:
    words = [f"w{number:06}" for number in range(1000)]  # 1,000 × 8 characters, including spaces
    (tmp_path / "conversations.jsonl").write_bytes(talk([" ".join(words), "one end"]).to_line())
    gate = NearDuplicate(threshold=1)
    assert rejection(tmp_path, gate, [" ".join(words), "another"]) is not None
    assert rejection(tmp_path, gate, ["x" + " ".join(words)[1:], "another"]) is None


def test_the_first_gate_that_rejects_decides(tmp_path: Path) -> None:
    gates = [NearDuplicate(), MinTurns(turns=2), Safety()]
    for texts, gate in ((["shit"], "min_turns"), (["shit", "shit"], "safety"), (["a", "b"], None)):
        rejected = decided(tmp_path, gates, texts).rejected
        assert (rejected and rejected.gate) == gate


def test_a_reason_is_one_line_of_at_most_1000_characters(tmp_path: Path) -> None:
    found = rejection(tmp_path, Rule(rule="programs.gate_rules:at_length"), ["a"])
    assert found == (" ".join(["no way"] * 200)[:1000], None)


@pytest.mark.parametrize("rule", ["any_number", "by_keyword", "instance"])
def test_a_rule_is_given_what_it_takes(rule: str, tmp_path: Path) -> None:
    gate = Rule(rule=f"programs.gate_rules:{rule}")
    assert rejection(tmp_path, gate, ["a"]) == ("c-7", None)
