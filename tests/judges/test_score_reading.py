"""Scores read from replies, compared with values calculated by hand."""

from __future__ import annotations

from math import inf, log

import pytest

from convogen.judges.score_reading import find_score, mean_score, token_score, weigh
from convogen.models.base import ModelReply, TokenLogprob
from convogen.records import Usage

SCALE = (1, 5)


def reply(*tokens: TokenLogprob, text: str | None = None) -> ModelReply:
    spelled = "".join(one.token for one in tokens)
    return ModelReply(spelled if text is None else text, Usage(), "stop", logprobs=tokens)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4", 4),
        (" 4.", 4),
        ("**4**", 4),
        ("Score: 3", 3),
        ("4/5", 4),
        ("4 out of 5", 4),
        ("On a scale of 1 to 5: 2", 2),
        ("5. I give it 5.", 5),
        ("", None),
        ("four", None),
        ("7", None),
        ("0", None),
        ("10", None),
        ("45", None),
        ("4.5", None),
        ("-4", None),
        ("3 or 4", None),
        ("from 1 to 5", None),
        ("Q4", None),
    ],
)
def test_the_number_a_reply_names(text: str, score: int | None) -> None:
    found = find_score(text, SCALE)
    assert (found.score if found else None) == score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4", 4),
        (" 4", 4),
        ("4.", 4),
        ("\n4", 4),
        ("▁4", 4),
        ("6", None),
        ("44", None),
        ("four", None),
    ],
)
def test_the_score_a_token_stands_for(text: str, score: int | None) -> None:
    assert token_score(text, SCALE) == score


def test_weighted_by_the_probabilities_of_the_score_tokens() -> None:
    """p(4) = 0.3 + 0.1 and p(5) = 0.4; other tokens are not scores: (4·0.4 + 5·0.4) / 0.8 = 4.5."""
    said = reply(
        TokenLogprob(
            "4", log(0.3), (("5", log(0.4)), ("4", log(0.3)), (" 4", log(0.1)), ("The", log(0.2)))
        )
    )
    found = find_score(said.text, SCALE)
    assert found is not None
    weighed = weigh(said, found, SCALE)
    assert weighed is not None
    assert weighed.value == pytest.approx(4.5)
    assert weighed.mass == pytest.approx(0.8)
    assert weighed.shares == pytest.approx({"1": 0, "2": 0, "3": 0, "4": 0.5, "5": 0.5})


def test_the_place_of_the_score_counts_not_the_first_token() -> None:
    """`Score: 2`, with p(2) = 0.75 and p(1) = 0.25 for the digit, gives 1.75."""
    said = reply(
        TokenLogprob("Score", log(0.9), (("5", log(0.1)),)),
        TokenLogprob(":", 0.0, ((":", 0.0),)),
        TokenLogprob(" 2", log(0.75), ((" 2", log(0.75)), ("1", log(0.25)))),
    )
    found = find_score(said.text, SCALE)
    assert found is not None
    weighed = weigh(said, found, SCALE)
    assert weighed is not None
    assert weighed.value == pytest.approx(1.75)


def test_thoughts_before_the_text_are_passed_over() -> None:
    said = reply(
        TokenLogprob("<think>5</think>\n", 0.0, (("5", 0.0),)),
        TokenLogprob("3", log(0.5), (("3", log(0.5)), ("1", log(0.5)))),
        text="3",
    )
    found = find_score(said.text, SCALE)
    assert found is not None
    weighed = weigh(said, found, SCALE)
    assert weighed is not None
    assert weighed.value == pytest.approx(2.0)


def test_a_token_that_is_not_among_its_alternatives_counts_too() -> None:
    """The alternatives give 0.6 to 5, and the token itself, a 1, has 0.2: (5·0.6 + 1·0.2) / 0.8
    = 4."""
    said = reply(TokenLogprob("1", log(0.2), (("5", log(0.6)),)))
    found = find_score(said.text, SCALE)
    assert found is not None
    weighed = weigh(said, found, SCALE)
    assert weighed is not None
    assert weighed.value == pytest.approx(4.0)


@pytest.mark.parametrize(
    "said",
    [
        ModelReply("4", Usage(), "stop", logprobs=None),
        reply(TokenLogprob("4", -0.1, ())),
        reply(TokenLogprob("4", -inf, (("4", -inf),))),
        reply(TokenLogprob("other", 0.0, (("4", 0.0),)), text="4"),
    ],
)
def test_no_probabilities_at_the_score(said: ModelReply) -> None:
    found = find_score(said.text, SCALE)
    assert found is not None
    assert weigh(said, found, SCALE) is None


def test_mean_of_samples() -> None:
    weighed = mean_score([4, 5, 5, 2], SCALE)
    assert weighed.value == 4.0
    assert weighed.shares == {"1": 0, "2": 0.25, "3": 0, "4": 0.25, "5": 0.5}
