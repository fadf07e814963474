from __future__ import annotations

import pytest

from convogen.models.base import Message, Request, Sampling
from convogen.models.dialect import Dialect

REQUEST = Request("agent", "m", (Message("user", "hi"),), Sampling(temperature=0.5, stop=["x"]))


@pytest.mark.parametrize(
    ("detail", "dropped"),
    [
        ('{"param": "temperature", "message": "unsupported"}', {"temperature"}),
        ("Unsupported parameter: 'stop' is not supported with this model.", {"stop"}),
        ("Please stop sending so much at this temperature.", set()),
        ('{"param": "seed"}', set()),
    ],
)
def test_a_parameter_is_dropped_where_it_was_sent_and_is_named(
    detail: str, dropped: set[str]
) -> None:
    dialect = Dialect()
    again = dialect.adapt(400, detail, dialect.body(REQUEST), dialect.json_mode)
    assert (again, dialect.dropped) == (bool(dropped), dropped)
    assert not dropped & dialect.body(REQUEST).keys()


JUDGED = Request("judge", "m", (Message("user", "?"),), Sampling(), top_logprobs=20)
DETAIL = "top_logprobs must be at most 5"


def test_fewer_log_probabilities_then_none() -> None:
    dialect = Dialect()
    first = dialect.body(JUDGED)
    assert first["top_logprobs"] == 20
    assert dialect.adapt(400, DETAIL, first, dialect.json_mode)
    second = dialect.body(JUDGED)
    assert second["top_logprobs"] == 5
    assert dialect.adapt(403, "not allowed to request logprobs", second, dialect.json_mode)
    third = dialect.body(JUDGED)
    assert "logprobs" not in third
    assert "top_logprobs" not in third
    assert not dialect.adapt(403, "not allowed to request logprobs", third, dialect.json_mode)


def test_many_refusals_at_once_are_one_lesson() -> None:
    dialect = Dialect()
    bodies = [dialect.body(JUDGED) for _ in range(3)]
    assert all(dialect.adapt(422, DETAIL, body, dialect.json_mode) for body in bodies)
    assert dialect.body(JUDGED)["top_logprobs"] == 5
