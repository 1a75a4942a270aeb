"""``working_hours:`` of a site."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.errors import ConfigurationError
from tests.policy.texts import load_with

NIGHT = datetime(2026, 11, 25, 2, tzinfo=UTC).timestamp()
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


def block(**changes: str) -> str:
    """Return a section with one block."""
    said = {"roles": "[a]", "hours": '"07:00-19:00"', "time_zone": "Europe/Paris", "why": "w"}
    inner = ", ".join(f"{key}: {value}" for key, value in (said | changes).items())
    return f"working_hours: [{{{inner}}}]\n"


def test_a_role_without_hours_works_always() -> None:
    """And one of several blocks is enough for one with."""
    policy = load_with(block() + "lists: {x: [b]}\n")
    assert [policy.is_off_hours("a", one) for one in (NIGHT, NOON)] == [True, False]
    assert not policy.is_off_hours("b", NIGHT)
    more = block()[:-2] + ', {roles: [a], hours: "00:00-04:00", time_zone: UTC, why: w}]\n'
    assert not load_with(more).is_off_hours("a", NIGHT)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hours": '"07:00-07:00"'}, "'07:00-07:00' are no hours, expected ones like 07:00-19:30"),
        ({"hours": '"07:00-25:00"'}, "are no hours"),
        ({"hours": '"7-19"'}, "hours"),
        ({"time_zone": "Europe/Lutetia"}, "unknown time zone 'Europe/Lutetia', expected one like"),
        ({"time_zone": "../../etc/passwd"}, "unknown time zone"),
        ({"roles": "[]"}, "'roles' is an empty list"),
        ({"days": "[lundi]"}, "lundi"),
        ({"days": "[]"}, "days"),
    ],
)
def test_problems_are_told(changes: dict[str, str], problem: str) -> None:
    """With the place."""
    with pytest.raises(ConfigurationError) as raised:
        load_with(block(**changes))

    assert problem in "\n".join(raised.value.problems)
    assert raised.value.problems[0].startswith("site/x.yaml:")
