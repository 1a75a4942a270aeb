"""Lines of an account, as people read them."""

from __future__ import annotations

import pytest

from proxy.meter.lines import Usage, whose_of

ROLE = ("role", "lims_app@lab")


@pytest.mark.parametrize(
    ("group", "bound", "expected"),
    [
        ((ROLE,), None, [ROLE]),
        ((), None, []),
        ((ROLE, ("end_user", "alice")), None, [ROLE, ("end_user", "alice")]),
        ((("end_user", "alice"),), True, [("end_user", "alice")]),
        ((("end_user", ""),), None, [("end_user", "(unbound)")]),
        ((("application", ""),), None, [("application", "(unbound)")]),
        ((("certificate", ""),), None, [("certificate", "")]),
        ((ROLE,), False, [ROLE, ("end_user", "(unbound)")]),
        ((ROLE,), True, [ROLE, ("end_user", "(any)")]),
    ],
)
def test_whose_it_is(
    group: tuple[tuple[str, str], ...], bound: bool | None, expected: list[tuple[str, str]]
) -> None:
    """Whoever named nobody is shown as such, and never as everyone."""
    usage = Usage("EX1", "lims_app", 0, 1, group=group, bound=bound)

    assert whose_of(usage) == expected
