"""Registry: what has a name, bounded."""

from __future__ import annotations

import pytest

from proxy.session import statements
from proxy.session.statements import Portal, Prepared, Registry, plain, run_by
from proxy.terms.facts import KeyFilter, Kind, Literal, Parameter, StatementFacts
from proxy.terms.unknown import UNKNOWN, Unknown

ONE = StatementFacts(Kind.SELECT, text="select 1")


def test_names_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten; to Vigie they are then unknown, which is never harmless."""
    monkeypatch.setattr(statements, "MAX_NAMES", 2)  # and the unnamed one
    registry = Registry()
    for name in "abcad":
        registry.prepare(name, Prepared(ONE))

    assert registry.prepared.names() == ["c", "a", "d"]


def test_names_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts and parameters count."""
    monkeypatch.setattr(statements, "MAX_NAMES_BYTES", 100 + statements.ENTRY_BYTES)
    registry = Registry()
    registry.prepare("a", Prepared(ONE, bytes(30)))
    registry.prepare("b", Prepared(ONE, bytes(30)))
    registry.open("p", Portal(ONE, parameters=(bytes(60), None)))
    registry.open("q", Portal(ONE, parameters=(bytes(60),)))

    assert registry.prepared.names() == ["b"]
    assert registry.portals.names() == ["q"]
    assert registry.prepared.kept_bytes == 60 + statements.ENTRY_BYTES


def test_what_is_forgotten_takes_no_room() -> None:
    """DEALLOCATE, CLOSE and the end of a transaction give it back."""
    registry = Registry()
    registry.prepare("a", Prepared(ONE, bytes(30)))
    registry.open("p", Portal(ONE, bytes(30)))
    registry.open("h", Portal(ONE, bytes(30), holds=True))
    registry.end_transaction()
    registry.deallocate("a")

    assert (len(registry.prepared), registry.prepared.kept_bytes) == (0, 0)
    assert (registry.portals.names(), registry.portals.kept_bytes) == (
        ["h"],
        60 + statements.ENTRY_BYTES,
    )
    registry.close(None)
    assert (len(registry.portals), registry.portals.kept_bytes) == (0, 0)


@pytest.mark.parametrize("kind", [Kind.EXECUTE, Kind.FETCH, Kind.PREPARE, Kind.SET, Kind.DO])
def test_only_plain_statements_are_run_under_a_name(kind: Kind) -> None:
    """Anything else may have made, dropped or changed what the session does not see."""
    found = run_by(StatementFacts(Kind.EXECUTE, prepared="s"), StatementFacts(kind))

    assert found.opaque == f"{kind.value} under a name"
    assert plain(ONE) is ONE


@pytest.mark.parametrize(
    ("own", "inner", "expected"), [(5, 9, 5), (9, 5, 5), (None, 5, 5), (5, None, 5)]
)
def test_the_smaller_bound_holds(own: int | None, inner: int | None, expected: int) -> None:
    """FETCH 5 of a cursor with LIMIT 9 gives 5."""
    found = run_by(
        StatementFacts(Kind.FETCH, row_bound=own), StatementFacts(Kind.SELECT, row_bound=inner)
    )

    assert found.row_bound == expected


@pytest.mark.parametrize(
    ("values", "bound", "keys"),
    [
        ((Literal("20"), Literal("7")), 20, (Literal("7"),)),
        ((Literal("100000"), Parameter(3)), 100000, (Parameter(3),)),
        ((None, None), None, ()),
        ((UNKNOWN, UNKNOWN), UNKNOWN, (Parameter(0),)),
        ((), UNKNOWN, (Parameter(0),)),
    ],
)
def test_the_values_of_execute_are_bounds_and_keys(
    values: tuple[Literal | Parameter | Unknown | None, ...],
    bound: object,
    keys: tuple[Literal | Parameter, ...],
) -> None:
    """A constant is read; NULL is no limit and no key; what is computed is unknown."""
    inner = StatementFacts(
        Kind.SELECT,
        row_bound=Parameter(1),
        key_filters=(KeyFilter("patient.id", (Parameter(2),)),),
    )

    found = run_by(StatementFacts(Kind.EXECUTE, prepared="p", execute_values=values), inner)

    assert (found.row_bound, found.key_filters[0].values) == (bound, keys)
