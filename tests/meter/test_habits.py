"""Habits: what is usual is learned, bounded, and nothing is unusual before it is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.habits import (
    FEWEST_IN_A_MINUTE,
    HOUR_SECONDS,
    LEARNING_SECONDS,
    MAX_RECENT,
    MAX_TEMPLATES,
    USUAL_MINUTES,
    Distinct,
    Habits,
    Pace,
    Recent,
    Templates,
)


def test_what_happened_within_the_hour_is_counted() -> None:
    """And no more than a bounded number of times."""
    recent = Recent()
    for second in range(10):
        recent.add(float(second))
    assert recent.count(9.0) == 10
    assert recent.count(HOUR_SECONDS) == 9
    assert recent.count(2 * HOUR_SECONDS) == 0
    for _ in range(10 * MAX_RECENT):
        recent.add(2 * HOUR_SECONDS)
    assert recent.count(2 * HOUR_SECONDS) == MAX_RECENT


def test_different_things_are_counted_once() -> None:
    """As long as they were met within the hour."""
    distinct = Distinct()
    for second, what in enumerate("abcab"):
        distinct.add(what, float(second))
    assert distinct.count(4.0) == 3
    assert distinct.count(HOUR_SECONDS + 2.5) == 2
    for number in range(10 * MAX_RECENT):
        distinct.add(str(number), 10 * HOUR_SECONDS)
    assert distinct.count(10 * HOUR_SECONDS) == MAX_RECENT


def test_a_form_is_new_once_and_not_in_the_first_day() -> None:
    """Nor ever, for whoever uses too many to be known."""
    templates = Templates(0.0)
    assert not templates.is_new("0a", 1.0)
    assert not templates.is_new("0a", LEARNING_SECONDS)
    assert templates.is_new("0b", LEARNING_SECONDS)
    assert not templates.is_new("0b", LEARNING_SECONDS)
    assert not templates.is_new("", LEARNING_SECONDS)
    for number in range(2 * MAX_TEMPLATES):
        templates.is_new(f"{number + 100:x}", LEARNING_SECONDS)
    assert len(templates) == MAX_TEMPLATES
    assert not templates.is_new("ffffffff", LEARNING_SECONDS)


def usual(per_minute: int, minutes: int = USUAL_MINUTES + 1) -> Pace:
    """Return the pace of a principal with so many in each of some minutes."""
    pace = Pace()
    for minute in range(minutes):
        assert all(pace.add(1, minute * 60.0) <= 1 for _ in range(per_minute))
    return pace


def test_a_burst_is_told_by_how_many_times_the_usual_it_is() -> None:
    """While it lasts; the minute itself does not make it usual."""
    pace, now = usual(10), 100 * 60.0

    told = [pace.add(1, now) for _ in range(200)]

    assert told[: FEWEST_IN_A_MINUTE - 1] == [0] * (FEWEST_IN_A_MINUTE - 1)
    assert told[99] == 10
    assert told[199] == 20
    assert pace.add(1, now + 60) == 0


@pytest.mark.parametrize("minutes", [0, 1, USUAL_MINUTES - 1])
def test_nothing_is_a_burst_before_it_is_known_what_is_usual(minutes: int) -> None:
    """A principal that has just begun has no usual."""
    pace = usual(10, minutes)

    assert {pace.add(1, 100 * 60.0) for _ in range(500)} == {0}


def test_a_quiet_role_needs_more_than_a_few() -> None:
    """One in a minute as a rule: nineteen are still none."""
    pace = usual(1)

    assert {pace.add(1, 100 * 60.0) for _ in range(FEWEST_IN_A_MINUTE - 1)} == {0}
    assert pace.add(1, 100 * 60.0) == FEWEST_IN_A_MINUTE


def test_what_goes_on_becomes_usual() -> None:
    """A role whose work has grown is not told of for ever."""
    pace = usual(10)
    last = 0
    for minute in range(100, 700):
        last = max(pace.add(1, minute * 60.0) for _ in range(200))

    assert last <= 1


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1e6)), max_size=200))
def test_any_pace_is_counted(steps: list[tuple[int, float]]) -> None:
    """Whatever comes, in whatever minute: a number that is no less than 0, and no error."""
    pace = Pace()

    assert all(pace.add(number, now) >= 0 for number, now in steps)


def test_rows_are_a_burst_as_well() -> None:
    """Few statements may bring many; told at the next statement of the minute."""
    habits = Habits(0.0)
    for minute in range(USUAL_MINUTES + 2):
        habits.received(30, minute * 60.0)
    now = 100 * 60.0
    habits.received(3000, now)

    assert habits.asked(now) == 100
    assert habits.asked(now + 60) == 0


def test_names_are_not_new_in_the_first_day() -> None:
    """All of them are, then."""
    habits = Habits(0.0)
    habits.named(LEARNING_SECONDS - 1)
    habits.named(LEARNING_SECONDS)

    assert habits.new_names.count(LEARNING_SECONDS) == 1
