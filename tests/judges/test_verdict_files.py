"""Counts of verdicts in judges' files, our own and foreign."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st

from convogen.errors import SourceError
from convogen.judges.verdict_files import read_verdicts

JUDGED = Path(__file__).parents[3] / "shared/data/dialogueforge/judgements/gpt-4o"
REAL = "oasst1_en_min_6_turns_summary"
THREE_B, TUNED = "oasst1_en_llama_3B_GPT4oMini_6", "oasst1_en_llama_3b_v2_GPT4oMini_6"


@pytest.mark.skipif(not JUDGED.exists(), reason="the DialogueForge verdicts are missing")
@pytest.mark.parametrize(
    ("protocol", "name", "rate"),
    [
        ("unieval", THREE_B, 35.11),
        ("unieval", TUNED, 55.93),
        ("unieval", REAL, 90.07),
        ("gteval", f"{REAL}_{THREE_B}", 11.14),
        ("gteval", f"{REAL}_{TUNED}", 28.33),
    ],
)
def test_the_published_rates_come_out(protocol: str, name: str, rate: float) -> None:
    folder = {"unieval": "uni_eval", "gteval": "gt_eval"}[protocol]
    ended = convogen(
        "verdicts", JUDGED / folder / f"{name}.jsonl", "--protocol", protocol, "--json"
    )
    assert ended.status == 0
    [found] = json.loads(ended.out)
    assert found["n"] == sum(found["counts"].values()) == 413
    assert round(found["rate"], 2) == rate
    assert found["low"] < found["rate"] < found["high"]


@pytest.mark.parametrize(
    ("protocol", "choice", "passed", "rate"),
    [
        ("unieval", "Yes", 145, 35.11),
        ("unieval", "Yes", 231, 55.93),
        ("unieval", "Yes", 372, 90.07),
        ("gteval", "Conversation 2", 46, 11.14),
        ("gteval", "Conversation 2", 117, 28.33),
    ],
)
def test_the_published_rates_are_shares_of_413(
    protocol: str, choice: str, passed: int, rate: float, tmp_path: Path
) -> None:
    """Rows as in the authors' files: the index is text or a number, and missing values are
    `None`."""
    against = [{"choice": choice, "index": at % 3 + 1, "reason": "It is too smooth."}
               for at in range(413 - passed)]  # fmt: skip
    against[0]["index"] = "3"
    other = {"unieval": "No", "gteval": "Both"}[protocol]
    rows = [{"choice": other, "index": "None", "reason": "So people talk."}] * passed + against
    path = tmp_path / "v.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = convogen("verdicts", path, "--protocol", protocol, "--json")
    assert ended.status == 0
    [found] = json.loads(ended.out)
    assert found["n"] == sum(found["counts"].values()) == 413
    assert round(found["rate"], 2) == rate
    assert found["low"] < found["rate"] < found["high"]


@given(
    st.lists(st.sampled_from(["Conversation 1", "Conversation 2", "Both", "Neither"]), min_size=1)
)
def test_which_of_two_was_generated_decides(
    tmp_path_factory: pytest.TempPathFactory, choices: list[str]
) -> None:
    path = tmp_path_factory.mktemp("verdicts") / "v.jsonl"
    path.write_text("".join(json.dumps({"choice": choice}) + "\n" for choice in choices))
    for generated in (1, 2):
        found = read_verdicts(path, "gteval", generated)  # type: ignore[arg-type]
        assert found.n == len(choices)
        assert found.n - found.passed == choices.count(f"Conversation {generated}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"choice": "No"}\n{"choice": "Perhaps"}\n',
            "line 2: unknown choice 'Perhaps'; allowed: Yes, No",
        ),
        ('{"verdict": "No"}\n', "line 1: must be a JSON object with a `choice`"),
        ('["No"]\n', "line 1: must be a JSON object"),
        ('{"choice": ["No"]}\n', "line 1: unknown choice"),
        ("[" * 99_999, "line 1: must be a JSON object"),
        ("\n\n", "contains no verdicts"),
    ],
)
def test_what_is_no_verdict_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        read_verdicts(path, "unieval")
    assert said in str(caught.value)


def test_a_table_of_several_files(tmp_path: Path) -> None:
    for name, choice in (("mild", " no "), ("strict", "YES")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"choice": choice}))
    ended = convogen("verdicts", *sorted(tmp_path.iterdir()), "--protocol", "unieval")
    assert "mild" in ended.out
    assert "100.00" in ended.out
    assert " 0.00" in ended.out
    assert convogen("verdicts", tmp_path / "none", "--protocol", "unieval").status == 2
