"""Ledger: charged before released, every budget or none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.ledger import Account, Charge, Ledger
from proxy.terms.budget import Budget, Measure
from proxy.terms.finding import Action

WINDOW = 100


def budget(
    limit: int | None,
    measure: Measure = Measure.SUBJECTS,
    action: Action = Action.BLOCK,
    name: str = "EX201",
) -> Budget:
    return Budget(name, "Budget", measure, frozenset(), WINDOW, limit, action)


def one(key: bytes, rows: int = 1, size: int = 10) -> Charge:
    return Charge(groups=((key,),), rows=rows, size_bytes=size)


def used(account: Account, now: float = 0.0) -> dict[str, int]:
    return {usage.budget: usage.used for usage in account.usage(now)}


def test_exactly_the_budget_is_admitted() -> None:
    """The charge that would exceed it is not charged at all."""
    account = Account("app", [budget(2)])

    answers = [account.admit(one(key), 0.0) for key in (b"a", b"b", b"c", b"a")]

    assert [answer is None for answer in answers] == [True, True, False, True]
    assert used(account) == {"EX201": 2}


def test_one_spent_budget_charges_none() -> None:
    """What is not released costs nothing anywhere."""
    rows = budget(1, Measure.ROWS, name="EX202")
    account = Account("app", [budget(9), rows])
    account.admit(one(b"a"), 0.0)

    answer = account.admit(one(b"b"), 0.0)

    assert answer == rows
    assert used(account) == {"EX201": 1, "EX202": 1}


def test_measures_count_what_they_say() -> None:
    """Subjects, rows and bytes; anonymous ones are subjects too."""
    account = Account(
        "app",
        [
            budget(99),
            budget(99, Measure.ROWS, name="EX202"),
            budget(99, Measure.BYTES, name="EX203"),
            budget(None, name="EX204"),
        ],
    )

    account.admit(Charge(groups=((b"a",), (b"b",)), anonymous=3, rows=1, size_bytes=40), 0.0)

    assert used(account) == {"EX201": 5, "EX202": 1, "EX203": 40, "EX204": 5}
    assert account.charged == {"EX201": 5, "EX202": 1, "EX203": 40, "EX204": 5}


def test_a_limit_of_nothing_admits_nothing_of_subjects() -> None:
    """Zero is a limit; rows without subjects still pass it."""
    account = Account("app", [budget(0)])

    assert account.admit(Charge(rows=5), 0.0) is None
    assert account.admit(one(b"a"), 0.0) is not None


def test_a_flag_never_stands_in_the_way() -> None:
    """It is told once within its window, and its memory stays bounded."""
    flag = budget(1, action=Action.FLAG)
    account = Account("app", [flag])

    answers = [account.admit(one(bytes([key])), 0.0) for key in range(5)]

    assert answers == [None] * 5
    assert list(account.overruns(0.0)) == [flag]
    assert list(account.overruns(1.0)) == []
    assert used(account) == {"EX201": 1}


def test_a_flag_is_told_again_in_the_next_window() -> None:
    """An excess that goes on is no secret after the first hour."""
    account = Account("app", [budget(1, Measure.ROWS, Action.FLAG)])
    told = []
    for now in (0.0, 1.0, WINDOW + 2.0, WINDOW + 3.0, WINDOW + 4.0):
        account.admit(Charge(rows=2), now)
        told.append(len(list(account.overruns(now))))

    assert told[0] == 1
    assert told[1] == 0
    assert sum(told[2:]) == 1


def test_usage_leaves_with_its_window() -> None:
    """What was received longer ago is forgotten, and never earlier."""
    account = Account("app", [budget(1)])
    account.admit(one(b"a"), 0.0)

    assert account.admit(one(b"b"), WINDOW - 0.1) is not None
    assert account.admit(one(b"b"), WINDOW + 0.1) is None


def test_a_principal_has_one_account() -> None:
    """Sessions come and go; it stays, under the role it was opened with."""
    ledger = Ledger()
    first = ledger.account("app@lab", "app", [budget(1)])

    assert ledger.account("app@lab", "app", [budget(1)]) is first
    assert ledger.account("other@lab", "other", [budget(1)]) is not first
    assert [account.role for account in ledger.accounts()] == ["app", "other"]
    assert [usage.role for usage in ledger.usage(0.0)] == ["app", "other"]


charges = st.builds(
    Charge,
    groups=st.lists(st.sampled_from([(b"a",), (b"b",), (b"a", b"b"), (b"c",)]), max_size=3).map(
        tuple
    ),
    anonymous=st.integers(0, 2),
    rows=st.integers(0, 2),
    size_bytes=st.integers(0, 9),
)


@given(st.lists(st.tuples(charges, st.integers(0, 60)), max_size=20), st.integers(0, 6))
def test_usage_is_never_beyond_the_limit(told: list[tuple[Charge, int]], limit: int) -> None:
    """Whatever is charged and whenever, and a refused charge leaves no trace."""
    measures = [Measure.SUBJECTS, Measure.ROWS, Measure.BYTES]
    account = Account("app", [budget(limit, one, name=one.value) for one in measures])
    now = 0.0
    for charge, pause in told:
        now += pause
        before = used(account, now)
        refused = account.admit(charge, now) is not None
        after = used(account, now)

        assert all(amount <= limit for amount in after.values())
        assert not refused or after == before
