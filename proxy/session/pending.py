"""Messages that went to the backend and are not answered yet, in order.

Whatever the backend sends belongs to the first of them, so that each row is charged to its own
statement, however many were sent ahead.

Source: PostgreSQL documentation, "Message Flow".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.session.refusal import Refusal
    from proxy.session.results import Result
    from proxy.session.statements import Portal, Prepared
    from proxy.terms.facts import StatementFacts


@dataclass(slots=True)
class QueryPending:
    """A Query: each of its statements, then ReadyForQuery. ``index``: which one runs now."""

    text: bytes
    statements: tuple[StatementFacts, ...]
    refusal: Refusal | None = None
    guarded: bool = False
    index: int = 0
    result: Result | None = None
    described: bool = False  # the running statement has a RowDescription


@dataclass(slots=True)
class ParsePending:
    """A Parse: ParseComplete."""

    name: str
    prepared: Prepared
    refusal: Refusal | None = None


@dataclass(slots=True)
class BindPending:
    """A Bind: BindComplete. ``portal`` has everything but the facts, which the backend decides."""

    name: str
    statement: str
    portal: Portal
    refusal: Refusal | None = None


@dataclass(slots=True)
class DescribePending:
    """A Describe: RowDescription or NoData. ``own``: Vigie asked, and keeps the answer."""

    kind: str  # S or P
    name: str
    own: bool = False


@dataclass(slots=True)
class ExecutePending:
    """An Execute: rows, then CommandComplete or PortalSuspended. ``guarded``: it may be cut."""

    name: str
    facts: StatementFacts | None = None  # as far as known when it was sent
    guarded: bool = False
    keeps_sync: bool = False  # its Sync waits, so that a cut rolls back what came before
    flushed: bool = False
    refusal: Refusal | None = None
    result: Result | None = None


@dataclass(slots=True)
class ClosePending:
    """A Close: CloseComplete."""

    kind: str
    name: str


@dataclass(slots=True)
class SyncPending:
    """A Sync: ReadyForQuery."""


@dataclass(slots=True)
class FunctionPending:
    """A FunctionCall: FunctionCallResponse, ReadyForQuery."""

    facts: StatementFacts
    refusal: Refusal | None = None
    result: Result | None = None


@dataclass(slots=True)
class CopyEndPending:
    """CopyDone or CopyFail: nothing answers it by itself."""


@dataclass(slots=True)
class OwnQueryPending:
    """A Query of Vigie's own about the catalog; the frontend sees nothing of its answer."""

    everything: bool
    change: int
    results: list[list[list[str | None]]] = field(default_factory=list)
    failed: bool = False


Pending = (
    QueryPending
    | ParsePending
    | BindPending
    | DescribePending
    | ExecutePending
    | ClosePending
    | SyncPending
    | FunctionPending
    | CopyEndPending
    | OwnQueryPending
)
