"""Ledger: charged before released, every budget or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.book import Book
from proxy.meter.ledger import NOT_KEPT, Account, Charge, Ledger
from proxy.terms.budget import Budget, Grouping, Measure
from proxy.terms.column_class import ColumnClass
from proxy.terms.finding import Action
from proxy.terms.principal import Certificate, Principal
from proxy.terms.relation import Relation

WINDOW: Final = 100
APP: Final = Principal("app", "lab", "10.0.0.1")
PATIENT: Final = Relation("lab", "patient")
RESULT: Final = Relation("lab", "resultat")
IDENTITY: Final = frozenset({ColumnClass.IDENTITY})
HEALTH: Final = frozenset({ColumnClass.HEALTH})
ANY: Final[frozenset[Relation]] = frozenset()


def budget(
    limit: int | None,
    measure: Measure = Measure.SUBJECTS,
    action: Action = Action.BLOCK,
    name: str = "EX201",
    *,
    window: int = WINDOW,
    per: tuple[Grouping, ...] = (Grouping.ROLE,),
    classes: frozenset[ColumnClass] = frozenset(),
    relations: frozenset[Relation] = frozenset(),
) -> Budget:
    return Budget(
        *(name, "Budget", measure, frozenset(), window, limit, action),
        per=per,
        classes=classes,
        relations=relations,
    )


def open_account(*budgets: Budget, ledger: Ledger | None = None) -> Account:
    return (ledger or Ledger()).account(APP, budgets)


def one(key: bytes, rows: int = 1, size: int = 10) -> Charge:
    return Charge(groups=((key,),), rows=rows, size_bytes=size)


def used(account: Account, now: float = 0.0) -> dict[str, int]:
    return {usage.budget: usage.used for usage in account.usage(now)}


def test_exactly_the_budget_is_admitted() -> None:
    """The charge that would exceed it is not charged at all."""
    account = open_account(budget(2))

    answers = [account.admit(one(key), 0.0) for key in (b"a", b"b", b"c", b"a")]

    assert [answer is None for answer in answers] == [True, True, False, True]
    assert used(account) == {"EX201": 2}


def test_one_spent_budget_charges_none() -> None:
    """What is not released costs nothing anywhere."""
    rows = budget(1, Measure.ROWS, name="EX202")
    account = open_account(budget(9), rows)
    account.admit(one(b"a"), 0.0)

    answer = account.admit(one(b"b"), 0.0)

    assert answer == rows
    assert used(account) == {"EX201": 1, "EX202": 1}


def test_measures_count_what_they_say() -> None:
    """Subjects, rows, bytes and statements; anonymous ones are subjects too."""
    ledger = Ledger()
    account = open_account(
        budget(99),
        budget(99, Measure.ROWS, name="EX202"),
        budget(99, Measure.BYTES, name="EX203"),
        budget(None, name="EX204"),
        budget(99, Measure.STATEMENTS, name="EX205"),
        budget(99, Measure.QUESTIONS, name="EX206"),
        ledger=ledger,
    )

    account.admit(Charge(groups=((b"a",), (b"b",)), anonymous=3, rows=1, size_bytes=40), 0.0)
    account.admit(Charge(statements=1, questions=1), 0.0)
    account.admit(Charge(statements=1), 0.0)

    expected = {"EX201": 5, "EX202": 1, "EX203": 40, "EX204": 5, "EX205": 2, "EX206": 1}
    assert used(account) == expected
    assert ledger.charged == expected


def test_a_limit_of_nothing_admits_nothing_of_subjects() -> None:
    """Zero is a limit; rows without subjects still pass it."""
    account = open_account(budget(0))

    assert account.admit(Charge(rows=5), 0.0) is None
    assert account.admit(one(b"a"), 0.0) is not None


def test_the_smallest_limit_wins_in_all_windows_at_once() -> None:
    """One budget in three windows: each of them stops what exceeds it."""
    windows = {10: 2, 100: 3, 1000: 4}
    account = open_account(*(budget(limit, window=one) for one, limit in windows.items()))
    stopped = []
    for now, key in enumerate([b"a", b"b", b"c"]):
        stopped.append(account.admit(one(key), float(now)))
    for at, keys in ((20.0, b"cd"), (200.0, b"abef"), (2000.0, b"g")):
        stopped += [account.admit(one(bytes([key])), at) for key in keys]

    assert [None if found is None else found.window_seconds for found in stopped] == [
        *(None, None, 10),
        *(None, 100),
        *(None, None, 10, 10),
        None,
    ]


def test_a_known_subject_costs_again_in_the_window_that_has_lost_it() -> None:
    """Free by the day, but not by the minute."""
    account = open_account(budget(1, window=60), budget(10, window=3600))
    answers = [account.admit(one(b"a"), 0.0), account.admit(one(b"b"), 100.0)]
    answers.append(account.admit(one(b"a"), 101.0))

    assert [found is None for found in answers] == [True, True, False]


def test_a_flag_never_stands_in_the_way() -> None:
    """It is told once within its window, whatever session asks."""
    flag = budget(1, action=Action.FLAG)
    ledger = Ledger()
    account, other = open_account(flag, ledger=ledger), open_account(flag, ledger=ledger)

    answers = [account.admit(one(bytes([key])), 0.0) for key in range(5)]

    assert answers == [None] * 5
    assert list(account.overruns()) == [flag]
    assert list(other.overruns()) == list(account.overruns()) == []


def test_a_flag_is_told_again_in_the_next_window() -> None:
    """An excess that goes on is no secret after the first hour."""
    account = open_account(budget(1, Measure.ROWS, Action.FLAG))
    told = []
    for now in (0.0, 1.0, WINDOW + 2.0, WINDOW + 3.0, WINDOW + 4.0):
        account.admit(Charge(rows=2), now)
        told.append(len(list(account.overruns())))

    assert told == [1, 0, 1, 0, 0]


def test_a_principal_has_one_account() -> None:
    """Sessions come and go; what was received stays, by role and database."""
    ledger = Ledger()
    for role, database in (("app", "lab"), ("app", "lab"), ("app", "old"), ("other", "lab")):
        ledger.account(Principal(role, database), [budget(9)]).admit(one(role.encode()), 0.0)

    assert [(usage.role, usage.used) for usage in ledger.usage(0.0)] == [
        ("app", 1),
        ("app", 1),
        ("other", 1),
    ]
    assert [dict(usage.group) for usage in ledger.usage(0.0)][1] == {"role": "app@old"}


def test_groupings_hold_together_what_they_name() -> None:
    """By role and address, by end user, and everyone together."""
    here, there = Principal("app", "lab", "h"), Principal("app", "lab", "t")
    other = Principal("other", "lab", "h")
    cases: list[tuple[tuple[Grouping, ...], list[int]]] = [
        ((Grouping.ROLE,), [4, 1]),
        ((Grouping.ROLE, Grouping.ADDRESS), [3, 1, 1]),
        ((Grouping.END_USER,), [3, 1, 1]),
        ((Grouping.APPLICATION,), [5]),
        ((), [5]),
    ]
    found = []
    for per, _ in cases:
        ledger = Ledger()
        who = [(here, ""), (here, "eva"), (here, "max"), (there, ""), (other, "")]
        for number, (principal, end_user) in enumerate(who):
            account = ledger.account(principal, [budget(9, per=per)], end_user=end_user)
            account.admit(one(b"%d" % number), 0.0)
        found.append([usage.used for usage in ledger.usage(0.0)])

    assert found == [expected for _, expected in cases]


def test_a_certificate_tells_apart_who_shares_a_role() -> None:
    """By its subject; whoever shows none is one group."""
    ledger = Ledger()
    shown = [Certificate("CN=a"), Certificate("CN=a", "a"), Certificate("CN=b"), None, None]
    for number, certificate in enumerate(shown):
        principal = Principal("app", "lab", certificate=certificate)
        account = ledger.account(principal, [budget(9, per=(Grouping.CERTIFICATE,))])
        account.admit(one(b"%d" % number), 0.0)

    assert {dict(usage.group)["certificate"]: usage.used for usage in ledger.usage(0.0)} == {
        "CN=a": 2,
        "CN=b": 1,
        "": 2,
    }


def test_a_relation_has_a_budget_of_its_own() -> None:
    """A join is charged to each; what may come from anywhere, to one for the unknown."""
    each = budget(2, per=(Grouping.ROLE, Grouping.RELATION))
    account = open_account(each)
    both = account.for_result(IDENTITY, frozenset({PATIENT, RESULT}))
    patient = account.for_result(IDENTITY, frozenset({PATIENT}))

    assert both.admit(one(b"a"), 0.0) is None
    assert patient.admit(one(b"b"), 0.0) is None
    assert patient.admit(one(b"c"), 0.0) == each
    assert account.for_result(IDENTITY, frozenset({RESULT})).admit(one(b"c"), 0.0) is None
    assert account.admit(one(b"c"), 0.0) is None
    assert {dict(one.group)["relation"]: one.used for one in both.usage(0.0)} == {
        "lab.patient": 2,
        "lab.resultat": 2,
    }


def test_a_budget_counts_the_classes_and_relations_that_it_names() -> None:
    """Identities of patients only; what is not known counts for all."""
    names = budget(1, classes=IDENTITY, relations=frozenset({PATIENT}))
    account = open_account(names)
    patients = frozenset({PATIENT})

    for classes, relations in ((HEALTH, patients), (IDENTITY, frozenset({RESULT}))):
        assert account.for_result(classes, relations).admit(one(b"a"), 0.0) is None
    assert account.for_result(IDENTITY, patients).admit(one(b"a"), 0.0) is None
    unknown = frozenset({ColumnClass.UNKNOWN})
    for classes, relations in ((IDENTITY, ANY), (unknown, patients), (frozenset(), ANY)):
        assert account.for_result(classes, relations).admit(one(b"b"), 0.0) == names


def test_a_statement_has_a_budget_that_begins_anew() -> None:
    """Each result, and nothing of it is left for the next."""
    each = budget(2, Measure.ROWS, window=0, per=(Grouping.STATEMENT,))
    account = open_account(each, budget(99))

    for _ in range(3):
        result = account.for_result(IDENTITY, frozenset({PATIENT}))
        answers = [result.admit(Charge(rows=1), 0.0) for _ in range(3)]
        assert answers == [None, None, each]


def test_the_nearer_the_limit_the_slower() -> None:
    """From a part of the limit on, up to so many seconds; a known subject is as slow."""
    slow = replace(budget(10), slows_from_percent=50, slows_by_seconds=4.0)
    account = open_account(slow, budget(99, Measure.ROWS))
    delays = []
    for number in range(10):
        account.admit(one(b"%d" % number), 0.0)
        delays.append(account.delay_seconds())

    assert [round(one, 1) for one in delays] == [0, 0, 0, 0, 0, 0.8, 1.6, 2.4, 3.2, 4.0]
    assert open_account(budget(10)).delay_seconds() == 0.0


def test_time_never_goes_backward() -> None:
    """A clock that does frees nothing, and what it says is later is later for all."""
    account = open_account(budget(1))
    account.admit(one(b"a"), 500.0)

    assert account.admit(one(b"b"), 0.0) is not None
    assert account.admit(one(b"b"), 500.0 + WINDOW - 1) is not None
    assert account.admit(one(b"b"), 502.0 + WINDOW) is None


def test_while_nothing_can_be_kept_only_what_is_reserved_leaves() -> None:
    """Then it is closed; or a share that the site has stated is left open."""
    found = []
    for share in (0, 10):
        ledger = Ledger(Book(is_kept=True), share_percent=share)
        account = open_account(budget(160), ledger=ledger)
        account.admit(one(b"first"), 0.0)
        ledger.take_batch(0.0)
        ledger.book.saved()
        batch = None
        answers = []
        for number in range(40):
            answers.append(account.admit(Charge(groups=((b"%d" % number,),)), 0.0))
            batch = batch or ledger.take_batch(0.0)
            if batch is not None and ledger.book.is_under_way:
                ledger.book.not_saved(batch)
        assert account.is_covered
        found.append([answers.count(None), answers.count(NOT_KEPT)])

    # 10 are reserved and 16 are the share; the last would have to fit twice, as a known one costs
    assert found == [[9, 31], [25, 15]]


def test_what_is_empty_and_unused_ends() -> None:
    """A session that is still there goes on, in a tally that others share."""
    ledger = Ledger(Book(is_kept=True))
    account = open_account(budget(1), ledger=ledger)
    account.admit(one(b"a"), 0.0)
    ledger.take_batch(0.0)
    ledger.book.saved()
    for now in (WINDOW + 70.0, WINDOW + 140.0):
        ledger.sweep(now)
        assert ledger.take_batch(now) is not None
        ledger.book.saved()

    assert ledger.book.tallies == {}
    assert ledger.usage(WINDOW + 140.0) == []
    assert account.admit(one(b"a"), 300.0) is None
    assert open_account(budget(1), ledger=ledger).admit(one(b"b"), 300.0) is not None


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
    account = open_account(*(budget(limit, one, name=one.value) for one in measures))
    now = 0.0
    for charge, pause in told:
        now += pause
        before = used(account, now)
        refused = account.admit(charge, now) is not None
        after = used(account, now)

        assert all(amount <= limit for amount in after.values())
        assert not refused or after == before
