"""What a refusal of log-probabilities teaches about an endpoint."""

from __future__ import annotations

from convogen.models.base import Message, Request, Sampling
from convogen.models.dialect import Dialect

REQUEST = Request("judge", "m", (Message("user", "?"),), Sampling(), top_logprobs=20)
DETAIL = "top_logprobs must be at most 5"


def test_fewer_log_probabilities_then_none() -> None:
    dialect = Dialect()
    first = dialect.body(REQUEST)
    assert first["top_logprobs"] == 20
    assert dialect.adapt(400, DETAIL, first, dialect.json_mode)
    second = dialect.body(REQUEST)
    assert second["top_logprobs"] == 5
    assert dialect.adapt(403, "not allowed to request logprobs", second, dialect.json_mode)
    third = dialect.body(REQUEST)
    assert "logprobs" not in third
    assert "top_logprobs" not in third
    assert not dialect.adapt(403, "not allowed to request logprobs", third, dialect.json_mode)


def test_many_refusals_at_once_are_one_lesson() -> None:
    dialect = Dialect()
    bodies = [dialect.body(REQUEST) for _ in range(3)]
    assert all(dialect.adapt(422, DETAIL, body, dialect.json_mode) for body in bodies)
    assert dialect.body(REQUEST)["top_logprobs"] == 5
