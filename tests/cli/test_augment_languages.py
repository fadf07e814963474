"""`convogen augment` with sources in languages without spaces: lengths and token limits."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, say

from convogen import load_run
from convogen.models.backends.scripted import improvise
from convogen.models.base import Message, Request, Sampling
from convogen.text.segmentation import count_words

SEGMENTED = Path(__file__).parents[1] / "data" / "segmented"
TURNS, DIALOGUES = 4, 6
SUMMARY_WORDS = {"zh": 13, "ja": 15, "th": 11}
ASKED = re.compile(r"about (\d+) word")


def sentences(language: str) -> list[str]:
    lines = (SEGMENTED / f"{language}.txt").read_text("utf-8").splitlines()
    return [line.replace(" ", "") for line in lines]


def source(language: str) -> Path:
    """Write dialogues with two sentences per turn; half of each summary is about something else."""
    said = sentences(language)
    rows = []
    for at in range(DIALOGUES):
        own = said[at * 2 * TURNS % 40 : at * 2 * TURNS % 40 + 2 * TURNS]
        turns = [f"#Person{n % 2 + 1}#: {own[2 * n]} {own[2 * n + 1]}" for n in range(TURNS)]
        dialogue = "\n".join(turns)
        rows.append({"fname": f"{at}", "dialogue": dialogue, "summary": own[0] + said[48 + at % 2]})
    path = Path("source.jsonl")
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("language", ["zh", "ja", "th"])
def test_lengths_and_tokens_fit_the_turns_of_the_source(
    language: str, endpoint: EndpointServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = sentences(language)
    lines = (SEGMENTED / f"{language}.txt").read_text("utf-8")
    vocabulary = sorted({word for word in lines.split() if len(word) > 1})

    def script(asked: Asked) -> Bytes:
        text = asked.body["messages"][-1]["content"]
        schema = (asked.body.get("response_format") or {}).get("json_schema", {}).get("schema")
        if schema:
            messages = tuple(Message(m["role"], m["content"]) for m in asked.body["messages"])
            seeded = Sampling(seed=asked.body["seed"])
            return say(improvise(Request("any", "any", messages, seeded, schema=schema)))
        if text.endswith("Summary:"):
            lines = [line.partition(": ")[2] for line in text.splitlines() if ": " in line]
            dialogue = "".join([line for line in lines if not line.isascii()][-3:])
            return say(
                "".join(
                    [word for word in vocabulary if word in dialogue][: SUMMARY_WORDS[language]]
                )
            )
        wanted = ASKED.search(text)
        return say(
            "".join(random.Random(asked.nth).sample(vocabulary, int(wanted[1]) if wanted else 9))
        )

    endpoint.script = script
    at = ["--model", "m", "--base-url", endpoint.base_url, "--n", "2", "--out", "run"]
    ended = convogen("augment", source(language), *at, "--licence", "MIT")
    assert ended.status == 0, ended.err

    lengths = [
        count_words(f"{said[n]} {said[n + 1]}", language)
        for n in range(0, 2 * TURNS * DIALOGUES, 2)
        if n + 1 < len(said)
    ]
    asked_of_agents = [
        (int(found[1]), asked.body["max_tokens"])
        for asked in endpoint.asked
        if (found := ASKED.search(asked.body["messages"][-1]["content"]))
        and "max_tokens" in asked.body
    ]
    assert asked_of_agents
    for words, room in asked_of_agents:
        assert words in lengths
        longest = max(len(text.encode()) / (count_words(text, language) or 1) for text in said)
        assert room > words * longest / 3  # a token has at least three bytes of such text
        assert room >= 4 * words + 24
    summaries = [
        asked.body["max_tokens"]
        for asked in endpoint.asked
        if asked.body["messages"][-1]["content"].endswith("Summary:")
    ]
    assert summaries
    assert min(summaries) >= 40
    turns = [turn for one in load_run("run").conversations() for turn in one.turns]
    assert {turn.target_words for turn in turns} <= {*lengths}
    assert not [turn.lapse for turn in turns[1:] if turn.lapse == "cut_off"]
