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
