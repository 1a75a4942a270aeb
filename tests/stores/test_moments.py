"""The ledger's clock over restarts: no jump of the wall clock takes anything back."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stores.moments import KeptTime, Moment, resume

KEPT: Final = KeptTime(1000.0, Moment(1000.0, 50.0, "a"))


@pytest.mark.parametrize(
    ("kept", "moment", "expected"),
    [
        (None, Moment(700.0, 9.0, "a"), 700.0),
        (KEPT, Moment(1010.0, 60.0, "a"), 1010.0),
        (KEPT, Moment(3.0, 60.0, "a"), 1010.0),
        (KEPT, Moment(9e9, 60.0, "a"), 1010.0),
        (KEPT, Moment(1500.0, 5.0, "b"), 1500.0),
        (KEPT, Moment(3.0, 5.0, "b"), 1000.0),
        (KEPT, Moment(3.0, 60.0), 1000.0),
    ],
    ids=["first", "same boot", "backward", "forward", "booted", "booted, backward", "not known"],
)
def test_time_goes_on(kept: KeptTime | None, moment: Moment, expected: float) -> None:
    """Within a boot by the time since boot; over a boot by the wall clock, never backward."""
    assert resume(kept, moment) == expected


@given(st.floats(0, 1e10), st.floats(0, 1e10), st.sampled_from(["a", "b", ""]))
def test_it_never_goes_backward(wall: float, since_boot: float, boot: str) -> None:
    """Whatever the clocks say."""
    assert resume(KEPT, Moment(wall, since_boot, boot)) >= KEPT.now
