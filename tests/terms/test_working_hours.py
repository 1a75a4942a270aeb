"""WorkingHours: by the clock of the site, over midnight and summer time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from proxy.terms.working_hours import WorkingHours, minute_of

PARIS = ZoneInfo("Europe/Paris")
WEEK = frozenset(range(5))


def covers(hours: str, moment: str, days: frozenset[int] = WEEK) -> bool:
    begins, ends = (minute_of(one) for one in hours.split("-"))
    assert begins is not None
    assert ends is not None
    wall = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return WorkingHours(frozenset({"a"}), days, begins, ends, PARIS).covers(wall)


@pytest.mark.parametrize(
    ("hours", "moment", "expected"),
    [
        ("07:00-19:00", "2026-11-25 05:59:59", False),  # Wednesday; winter: one hour ahead of UTC
        ("07:00-19:00", "2026-11-25 06:00:00", True),
        ("07:00-19:00", "2026-11-25 17:59:59", True),
        ("07:00-19:00", "2026-11-25 18:00:00", False),
        ("07:00-19:00", "2026-07-01 05:00:00", True),  # summer: two
        ("07:00-19:00", "2026-11-28 12:00:00", False),  # Saturday
        ("20:00-06:00", "2026-11-25 20:00:00", True),
        ("20:00-06:00", "2026-11-28 04:00:00", True),  # Saturday at five: since Friday
        ("20:00-06:00", "2026-11-28 05:00:00", False),
        ("20:00-06:00", "2026-11-29 04:00:00", False),  # Sunday at five
        ("20:00-06:00", "2026-11-30 04:00:00", False),  # Monday at five: since Sunday
        ("00:00-24:00", "2026-11-25 22:59:59", True),
        ("00:00-24:00", "2026-11-27 23:00:00", False),  # Saturday, by the site's clock
    ],
)
def test_hours(hours: str, moment: str, expected: bool) -> None:
    """The moment is in UTC; Monday to Friday."""
    assert covers(hours, moment) is expected


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("00:00", 0),
        ("24:00", 1440),
        ("07:30", 450),
        ("24:01", None),
        ("07:60", None),
        ("7", None),
        ("", None),
        ("aa:00", None),
    ],
)
def test_a_time_of_the_day(text: str, minute: int | None) -> None:
    """Hours and minutes, no more."""
    assert minute_of(text) == minute
