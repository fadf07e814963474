from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.models.backends.dialect import Dialect
from convogen.models.base import Message, Request, Sampling

REQUEST = Request("agent", "m", (Message("user", "hi"),), Sampling(temperature=0.5, stop=["x"]))


@pytest.mark.parametrize(
    ("detail", "dropped"),
    [
        ('{"param": "temperature", "message": "unsupported"}', {"temperature"}),
        ("Unsupported parameter: 'stop' is not supported with this model.", {"stop"}),
        ("Please stop sending so much at this temperature.", set()),
        ("The prompt is at a high temperature. Nothing else is allowed", set()),
        ("Unrecognized request argument supplied: stop", {"stop"}),
        ("temperature must be 1 for this model", {"temperature"}),
        ("Only the default is supported: temperature=0.5 isn't", {"temperature"}),
        ("Extra inputs are not permitted: body.temperature", {"temperature"}),
        ("body -> stop: extra fields not permitted", {"stop"}),
        ("This model does not support temperature", {"temperature"}),
        ("`frequency_penalty` and top_p: unsupported", set()),
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


@pytest.mark.parametrize(
    "detail",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Only user and assistant roles are supported!",
        "'system' role unsupported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "messages[0].role: value 'system' is not one of ['user', 'assistant']",
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        "Input should be 'user' or 'assistant'",
        "Only user, assistant and tool roles are supported, got system.",
        "role: unexpected value; permitted: 'user', 'assistant'",
        "The system prompt isn't allowed for this model",
    ],
)
def test_a_system_message_goes_before_the_users_first_if_its_role_is_refused(detail: str) -> None:
    said = (Message("system", "You are Ana."), Message("user", "hi"), Message("assistant", "yes"))
    request = Request("agent", "m", (*said, Message("user", "and?")), Sampling())
    dialect = Dialect()
    assert dialect.adapt(400, detail, dialect.body(request), dialect.json_mode)
    messages = dialect.body(request)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "You are Ana.\n\nhi"
    assert not dialect.adapt(400, detail, dialect.body(request), dialect.json_mode)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (500, "The system is overloaded, not available"),
        (500, "The system is currently not accepting requests"),
        (400, "System fingerprint: x; parameter `seed` is not supported"),
        (400, "This model's system does not support 'temperature'"),
    ],
)
def test_an_error_that_only_mentions_a_system_is_no_refusal_of_its_role(
    status: int, detail: str
) -> None:
    said = (Message("system", "x"), Message("user", "y"))
    request = Request("agent", "m", said, Sampling(temperature=1.0, seed=3))
    dialect = Dialect()
    dialect.adapt(status, detail, dialect.body(request), dialect.json_mode)
    assert dialect.takes_system


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from(["", " ", "a b"])))
)
def test_roles_alternate_and_no_message_is_empty(said: list[tuple[Any, str]]) -> None:
    request = Request("agent", "m", tuple(Message(*one) for one in said), Sampling())
    messages = Dialect().body(request)["messages"]
    roles = [message["role"] for message in messages]
    assert all(one != other for one, other in itertools.pairwise(roles))
    assert all(message["content"].strip() for message in messages)
