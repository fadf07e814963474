from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from convogen.cli._shared.limits import seconds_until

NOW = datetime(2030, 5, 17, 18, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        ("90m", 5400),
        ("2h30m", 9000),
        ("45s", 45),
        ("1d", 86400),
        ("1d1s", 86401),
        ("18:30", 1800),
        ("17:00", 82800),
        ("18:00:20", 20),
        ("2030-05-17T18:30", 1800),
        ("2030-05-17T18:30+02:00", 1800),
        ("2030-05-17T16:30Z", 1800),
        ("2030-05-18", 21600),
    ],
)
def test_a_duration_a_time_of_day_or_a_date(when: str, seconds: float) -> None:
    assert seconds_until(when, NOW) == seconds


@pytest.mark.parametrize(
    "when", ["", " ", "soon", "m", "-5m", "5", "25:00", "2030-05-17T17:00", "0h", "1.5h"]
)
def test_anything_else_is_refused(when: str) -> None:
    with pytest.raises(ValueError, match=r"must be|passed"):
        seconds_until(when, NOW)
