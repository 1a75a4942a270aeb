"""What has a name in a session: prepared statements, portals and cursors, with their facts.

``Registry`` holds what the backend has confirmed; what it has not answered yet is looked up in the
pending messages, newest first, as the backend will see them. A name that nobody here knows may be
anything: its facts are opaque.

Source: PostgreSQL documentation, "Extended Query", "PREPARE", "DECLARE".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from proxy.sql import bound_of_literal
from proxy.terms.facts import KeyFilter, Kind, Literal, Parameter, SettingChange, StatementFacts
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.session.results import Result
    from proxy.sql import Catalog

T = TypeVar("T")
# A peer may make as many as the backend allows. Beyond these a Parse or Bind is refused; where
# SQL makes a name, or nothing may be refused, the oldest are forgotten, and then opaque.
MAX_NAMES: Final = 10_000
MAX_NAMES_BYTES: Final = 1 << 26
ENTRY_BYTES: Final = 2048  # what facts take beside their text, about
NOT_MADE: Final = " that was not made here"
_NO_PARAMETER: Final = Parameter(0)  # stands for a value that cannot be read
# What may be run under a name: anything else there may have made or dropped names itself.
PLAIN: Final = frozenset(
    {Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE, Kind.SHOW, Kind.OPAQUE}
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement. ``text``: as in Parse, or the whole PREPARE if ``wrapped``.

    ``catalog``: with which its facts were found; with another one the backend plans it anew, and
    they have to be found anew. ``encoding`` and ``conforming``: with which the text was read.
    """

    facts: StatementFacts
    text: bytes = b""
    catalog: Catalog | None = None
    wrapped: bool = False
    encoding: str = "UTF8"
    conforming: bool = True


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
    planned_for: StatementFacts | None = None  # what ``result`` was planned for

    @property
    def kept_bytes(self) -> int:
        """Return what its parameters take."""
        return sum(len(value) for value in self.parameters if value is not None)


class Named(Generic[T]):
    """Values by name, bounded in number and in bytes: the oldest are forgotten."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[T, int]] = {}
        self.kept_bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def is_full(self) -> bool:
        """Whether one more would push another out; the unnamed one never does."""
        count = len(self._values) - ("" in self._values)
        return count >= MAX_NAMES or self.kept_bytes >= MAX_NAMES_BYTES

    def put(self, name: str, value: T, size_bytes: int) -> None:
        """Keep a value under a name."""
        self.forget(name)
        self._values[name] = (value, size_bytes)
        self.kept_bytes += size_bytes
        while len(self._values) > MAX_NAMES + 1 or self.kept_bytes > MAX_NAMES_BYTES:
            self.forget(next(iter(self._values)))

    def get(self, name: str) -> T | None:
        """Return the value, if there is one."""
        found = self._values.get(name)
        return None if found is None else found[0]

    def forget(self, name: str) -> None:
        """Drop a name, known or not."""
        found = self._values.pop(name, None)
        if found is not None:
            self.kept_bytes -= found[1]

    def clear(self) -> None:
        """Drop all names."""
        self._values.clear()
        self.kept_bytes = 0

    def names(self) -> list[str]:
        """Return the names, oldest first."""
        return list(self._values)


class Registry:
    """What the backend has confirmed."""

    def __init__(self) -> None:
        self.prepared: Named[Prepared] = Named()
        self.portals: Named[Portal] = Named()

    @property
    def is_full(self) -> bool:
        """Whether no more names are taken of one kind or the other."""
        return self.prepared.is_full or self.portals.is_full

    def prepare(self, name: str, prepared: Prepared) -> None:
        """Note a prepared statement."""
        size = 2 * len(prepared.text) + ENTRY_BYTES  # as bytes and as text, with its facts
        self.prepared.put(name, prepared, size)

    def open(self, name: str, portal: Portal) -> None:
        """Note a portal or cursor."""
        self.portals.put(name, portal, portal.kept_bytes + 2 * len(portal.text) + ENTRY_BYTES)

    def deallocate(self, name: str | None) -> None:
        """Forget a prepared statement; None: all but the unnamed one, which SQL does not reach."""
        for one in filter(None, self.prepared.names()) if name is None else (name,):
            self.prepared.forget(one)

    def close(self, name: str | None) -> None:
        """Forget a portal or cursor; None: all of them."""
        if name is None:
            self.portals.clear()
        else:
            self.portals.forget(name)

    def end_transaction(self) -> None:
        """Forget the portals and cursors that end with their transaction."""
        for name in self.portals.names():
            portal = self.portals.get(name)
            if portal is not None and not portal.holds:
                self.portals.forget(name)

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
            case _:
                pass


def prepared_by(facts: StatementFacts) -> Prepared:
    """Return what a PREPARE of these facts makes."""
    return Prepared(inner_of(facts), facts.text.encode(), wrapped=True)


def inner_of(facts: StatementFacts) -> StatementFacts:
    """Return the facts of the statement that PREPARE or DECLARE wraps."""
    return replace(
        facts, kind=Kind.SELECT, returns_rows=True, cursor=None, prepared=None, shape=None
    )


def calls_code(facts: StatementFacts, catalog: Catalog | None) -> bool:
    """Whether code of the database's own is called: it may make cursors and prepared statements."""
    if facts.opaque is not None and not facts.opaque.endswith(NOT_MADE):
        return True
    if facts.kind in {Kind.DO, Kind.CALL} or facts.unknown_functions or facts.subject_functions:
        return True
    if catalog is None:
        return bool(facts.functions)
    return any(one.rpartition(".")[2] in catalog.functions for one in facts.functions)


def unknown_name(facts: StatementFacts, what: str) -> StatementFacts:
    """Return the facts of a statement that runs something under a name nobody knows."""
    return replace(facts, opaque=what + NOT_MADE, shape=None)


def plain(inner: StatementFacts) -> StatementFacts:
    """Return facts of what runs under a name; opaque if it is a statement about names itself."""
    if inner.kind in PLAIN or inner.opaque is not None:
        return inner
    return replace(inner, opaque=f"{inner.kind.value} under a name", shape=None)


def run_by(facts: StatementFacts, inner: StatementFacts) -> StatementFacts:
    """Return the facts of EXECUTE or FETCH: those of what it runs, under its own name.

    FETCH has a row bound of its own, the smaller of the two holds.
    """
    inner = plain(inner)
    if facts.kind is Kind.EXECUTE:
        inner = _with_values(inner, facts.execute_values)
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


def _with_values(
    inner: StatementFacts, values: Sequence[Literal | Parameter | Unknown | None]
) -> StatementFacts:
    """Return the facts of a prepared statement with the values that EXECUTE gives it."""

    def given(parameter: Parameter) -> Literal | Parameter | Unknown | None:
        return values[parameter.number - 1] if 0 < parameter.number <= len(values) else UNKNOWN

    def put(key: KeyFilter) -> KeyFilter:
        found = [given(one) if isinstance(one, Parameter) else one for one in key.values]
        named = (one for one in found if one is not None)  # nothing is equal to NULL
        return key._replace(
            values=tuple(one if one is not UNKNOWN else _NO_PARAMETER for one in named)
        )

    def told(change: SettingChange) -> SettingChange:
        if not isinstance(change.value, Parameter):
            return change
        found = given(change.value)
        return replace(change, value=UNKNOWN if isinstance(found, Parameter) else found)

    bound: int | Parameter | Unknown | None = inner.row_bound
    if isinstance(bound, Parameter):
        value = given(bound)
        bound = bound_of_literal(value) if isinstance(value, Literal) else value
    return replace(
        inner,
        key_filters=tuple(map(put, inner.key_filters)),
        row_bound=bound,
        settings=tuple(map(told, inner.settings)),
    )
