from __future__ import annotations

import json
from pathlib import Path

from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, converse
from hypothesis import given
from hypothesis import strategies as st

from convogen.models.base import Message, Request, Sampling
from convogen.models.traffic.truncation import FEWEST_TOKENS, PromptWatch
from convogen.records import Usage


def noticed(*prompts: tuple[int, int]) -> list[str]:
    """Return the notices about prompts with these numbers of characters and tokens."""
    watch = PromptWatch()
    lines = [
        watch.notice(
            Request("agent", "m", (Message("user", "x" * chars),), Sampling()),
            Usage(prompt_tokens=tokens),
        )
        for chars, tokens in prompts
    ]
    return [line for line in lines if line]


def test_a_count_that_stays_while_prompts_grow_is_noticed_once() -> None:
    grown = [(4000, 1000), (9000, 2048), (12_000, 2048), (14_000, 2048), (20_000, 2048)]
    [line] = noticed(*grown)
    assert "9,000 to 14,000 characters all count as 2,048 tokens" in line
    assert "num_ctx" in line


def test_a_higher_count_shows_that_nothing_was_cut() -> None:
    assert noticed((9000, 2048), (12_000, 2048), (15_000, 3900), (18_000, 4200)) == []


def test_one_prompt_asked_again_is_no_sign() -> None:
    assert noticed(*[(9000, 2048)] * 20) == []
    assert noticed((9000, 2048), (9010, 2048), (9020, 2048)) == []


def test_servers_that_count_nothing_are_not_blamed() -> None:
    assert noticed(*[(1000 * n, 0) for n in range(1, 30)]) == []


@given(st.lists(st.integers(0, 60_000), max_size=40), st.integers(2, 6))
def test_an_honest_count_is_never_blamed(lengths: list[int], chars_a_token: int) -> None:
    assert noticed(*[(length, length // chars_a_token) for length in lengths]) == []


@given(st.lists(st.integers(9000, 60_000), min_size=3, max_size=40, unique=True))
def test_a_server_that_cuts_is_always_noticed(lengths: list[int]) -> None:
    grown = max(lengths) >= 2 * min(lengths)
    cut = [(length, min(length // 4, FEWEST_TOKENS)) for length in lengths]
    assert len(noticed(*cut)) >= grown


def test_a_run_says_it_in_a_line(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Bytes:
        body = json.loads(converse(asked).content)
        length = sum(len(message["content"]) for message in asked.body["messages"])
        body["usage"] = {"prompt_tokens": min(length // 4, 300), "completion_tokens": 3}
        return Bytes(json.dumps(body).encode())

    endpoint.script = script
    where = ("--model", "m", "--base-url", endpoint.base_url, "--out", tmp_path)
    ended = convogen("run", "demo", "--n", 2, "--set", "personas=generated", *where)
    assert ended.status == 0
    lines = [line for line in ended.err.splitlines() if "all count as 300 tokens" in line]
    assert len(lines) == 1
    assert "prompts cut" in (tmp_path / "log.jsonl").read_text("utf-8")
