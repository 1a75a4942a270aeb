"""What has a name in a session: prepared statements, portals and cursors, with their facts.

``Registry`` holds what the backend has confirmed; what it has not answered yet is looked up in the
pending messages, newest first, as the backend will see them. A name that nobody here knows may be
anything: its facts are opaque.

Source: PostgreSQL documentation, "Extended Query", "PREPARE", "DECLARE".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from proxy.terms.facts import Kind, StatementFacts

if TYPE_CHECKING:
    from proxy.session.results import Result
    from proxy.sql import Catalog

T = TypeVar("T")
# A peer may make as many as the backend allows; beyond this the oldest are opaque.
MAX_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement. ``text``: as in Parse, or the whole PREPARE if ``wrapped``.

    ``catalog``: with which its facts were found; with another one the backend plans it anew, and
    they have to be found anew.
    """

    facts: StatementFacts
    text: bytes = b""
    catalog: Catalog | None = None
    wrapped: bool = False


@dataclass(slots=True)
class Portal:
    """A portal or cursor: what FETCH and Execute run, in slices if they like."""

    facts: StatementFacts
    text: bytes = b""
    formats: tuple[int, ...] = ()
    parameters: tuple[bytes | None, ...] = ()
    parameter_formats: tuple[int, ...] = ()
    holds: bool = False  # outlives its transaction
    described: bool = False  # a RowDescription of this very portal comes or came
    result: Result | None = None


class Registry:
    """What the backend has confirmed."""

    def __init__(self) -> None:
        self.prepared: dict[str, Prepared] = {}
        self.portals: dict[str, Portal] = {}

    def prepare(self, name: str, prepared: Prepared) -> None:
        """Note a prepared statement."""
        _put(self.prepared, name, prepared)

    def open(self, name: str, portal: Portal) -> None:
        """Note a portal or cursor."""
        _put(self.portals, name, portal)

    def deallocate(self, name: str | None) -> None:
        """Forget a prepared statement; None: all of them."""
        if name is None:
            self.prepared.clear()
        else:
            self.prepared.pop(name, None)

    def close(self, name: str | None) -> None:
        """Forget a portal or cursor; None: all of them."""
        if name is None:
            self.portals.clear()
        else:
            self.portals.pop(name, None)

    def end_transaction(self) -> None:
        """Forget the portals and cursors that end with their transaction."""
        if self.portals:
            self.portals = {name: one for name, one in self.portals.items() if one.holds}

    def apply(self, facts: StatementFacts, own: Portal | None = None) -> None:
        """Note what a statement did that has completed.

        Args:
            facts: of the statement.
            own: the portal that ran it, if one did: its parameters go to the cursor it declares.
        """
        match facts.kind:
            case Kind.PREPARE if facts.prepared is not None:
                self.prepare(facts.prepared, prepared_by(facts))
            case Kind.DECLARE if facts.cursor is not None:
                portal = Portal(inner_of(facts), holds=facts.holds)
                if own is not None:
                    portal.parameters = own.parameters
                    portal.parameter_formats = own.parameter_formats
                self.open(facts.cursor, portal)
            case Kind.DEALLOCATE:
                self.deallocate(facts.prepared)
            case Kind.CLOSE:
                self.close(facts.cursor)
            case Kind.SET if facts.discards:
                self.deallocate(None)
                self.close(None)
            case Kind.TRANSACTION if facts.rolls_back_to:
                self.close(None)  # which of them are gone is not known here
            case _:
                pass


def _put(names: dict[str, T], name: str, value: T) -> None:
    names.pop(name, None)
    if len(names) >= MAX_NAMES:
        del names[next(iter(names))]
    names[name] = value


def prepared_by(facts: StatementFacts) -> Prepared:
    """Return what a PREPARE of these facts makes."""
    return Prepared(inner_of(facts), facts.text.encode(), wrapped=True)


def inner_of(facts: StatementFacts) -> StatementFacts:
    """Return the facts of the statement that PREPARE or DECLARE wraps."""
    return replace(
        facts, kind=Kind.SELECT, returns_rows=True, cursor=None, prepared=None, shape=None
    )


def unknown_name(facts: StatementFacts, what: str) -> StatementFacts:
    """Return the facts of a statement that runs something under a name nobody knows."""
    return replace(facts, opaque=f"{what} that was not made here", shape=None)


def run_by(facts: StatementFacts, inner: StatementFacts) -> StatementFacts:
    """Return the facts of EXECUTE or FETCH: those of what it runs, under its own name.

    FETCH has a row bound of its own, the smaller of the two holds.
    """
    bound = inner.row_bound
    if isinstance(facts.row_bound, int) and not (
        isinstance(bound, int) and bound < facts.row_bound
    ):
        bound = facts.row_bound
    return replace(
        inner,
        kind=facts.kind,
        text=facts.text,
        cursor=facts.cursor,
        prepared=facts.prepared,
        returns_rows=facts.returns_rows,
        row_bound=bound,
        row_bound_slot=None,
        spans=(),
        shape=None,
    )
