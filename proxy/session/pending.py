"""Messages that went to the backend and are not answered yet, in order.

Whatever the backend sends belongs to the first of them, so that each row is charged to its own
statement, however many were sent ahead.

Source: PostgreSQL documentation, "Message Flow".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from proxy.session.refusal import Refusal
    from proxy.session.results import Result
    from proxy.session.statements import Portal, Prepared
    from proxy.terms.facts import StatementFacts


@dataclass(slots=True)
class QueryPending:
    """A Query: each of its statements, then ReadyForQuery. ``index``: which one runs now.

    ``copies``: its COPY statements from the frontend that have not begun; ``ends``: those whose
    CopyDone or CopyFail the frontend has not sent.
    """

    text: bytes
    statements: tuple[StatementFacts, ...]
    refusal: Refusal | None = None
    guarded: bool = False
    unsettles: bool = False  # it may change how the next text has to be read
    copies: int = 0
    ends: int = 0
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
    """An Execute: rows, then CommandComplete or PortalSuspended. ``guarded``: it may be cut.

    ``unsettles``, ``copies`` and ``ends`` are as in ``QueryPending``.
    """

    name: str
    facts: StatementFacts | None = None  # as far as known when it was sent
    guarded: bool = False
    keeps_sync: bool = False  # its Sync waits, so that a cut rolls back what came before
    unsettles: bool = False
    copies: int = 0
    ends: int = 0
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
    failed: bool = False  # an ErrorResponse came in place of the result


@dataclass(slots=True)
class OwnQueryPending:
    """A Query of Vigie's own about the catalog; the frontend sees nothing of its answer."""

    everything: bool
    change: int
    settings: tuple[str, ...] = ()  # that are asked for as well
    results: list[list[list[str | None]]] = field(default_factory=list)
    failed: bool = False
    cancelled: bool = False


@dataclass(slots=True)
class PlanPending:
    """Vigie's own question for a plan; ``syncs``: how many ReadyForQuery are still to come."""

    key: Hashable
    syncs: int
    size_bytes: int = 0
    answer: bytes | None = None
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
    | OwnQueryPending
    | PlanPending
)


def kept_bytes(pending: Pending) -> int:
    """Return how much of what the frontend sent is kept until the answer comes."""
    match pending:
        case QueryPending(text=text):
            return len(text)
        case ParsePending(prepared=prepared):
            return len(prepared.text)
        case BindPending(portal=portal):
            return portal.kept_bytes
        case _:
            return 0
