"""The clocks: one for budgets, one for measuring, one for people."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from proxy.net import clock


def test_now_never_goes_backward() -> None:
    """Budgets are kept by it, so a clock that is set back must not give any of them back."""
    seen = [clock.now() for _ in range(1000)]

    assert seen == sorted(seen)


def test_the_stopwatch_tells_small_times_apart() -> None:
    """Some reading follows another by less than a millisecond, and more than nothing."""
    seen = [clock.stopwatch() for _ in range(1000)]
    steps = [later - earlier for earlier, later in pairwise(seen)]

    assert min(steps) >= 0
    assert 0 < min(step for step in steps if step) < 0.001


def test_wall_is_the_time_that_people_see() -> None:
    """Seconds since 1970, as other clocks of this machine say."""
    before = datetime.now(UTC).timestamp()
    found = clock.wall()

    assert before <= found <= datetime.now(UTC).timestamp() + 1e-5  # they have microseconds
