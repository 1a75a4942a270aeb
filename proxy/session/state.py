"""What a session is: its phase, its principal, what is under way. A value that flows change."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.session.commands import (
    AwaitState,
    CloseBackend,
    CloseFrontend,
    Delay,
    SendBackend,
    SendFrontend,
)
from proxy.session.decisions import Decisions
from proxy.session.followed_settings import FollowedSettings
from proxy.session.order_book import columns_are_inside
from proxy.session.pending import (
    ExecutePending,
    FunctionPending,
    QueryPending,
    SyncPending,
    kept_bytes,
)
from proxy.session.phases import Phase
from proxy.session.statements import Registry
from proxy.terms.behalf import NOBODY, Behalf
from proxy.wire.encode import FLUSH, TERMINATE, error_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.meter.ledger import Account
    from proxy.meter.walk import Walked
    from proxy.session.catalog_book import Reader
    from proxy.session.commands import Command
    from proxy.session.context import Context
    from proxy.session.negotiation import Unasked
    from proxy.session.pending import Pending
    from proxy.session.refusal import Refusal
    from proxy.sql import Catalog
    from proxy.terms.behalf import Trust
    from proxy.terms.behaviour import Behaviour
    from proxy.terms.facts import StatementFacts
    from proxy.terms.order import WorkOrder
    from proxy.terms.principal import Certificate, Principal
    from proxy.terms.relation import Relation
    from proxy.wire.backend import ResultColumn

IDLE: Final = ord("I")
ABORTED: Final = ord("E")
# Beyond these the frontend waits. More answers than the backend keeps back in its 8 KiB.
MAX_PENDING: Final = 2048
MAX_PENDING_BYTES: Final = 1 << 23
MAX_ACCOUNTS: Final = 16  # that are open at once, of a session that acts for many


@dataclass(slots=True)
class Cut:
    """A result that is being ended.

    ``finished``: the backend was done before it was stopped; ``before_sync``: and waits for Sync.
    """

    refusal: Refusal
    finished: bool = False
    before_sync: bool = False


@dataclass(slots=True)
class _SeenCatalog:
    """The catalog as this session sees it, and what it was made from."""

    base: Catalog | None = None
    path: tuple[str, ...] | None = None
    tainted: frozenset[Relation] = frozenset()
    touched: frozenset[Relation] = frozenset()
    fresh: tuple[tuple[Relation, bool], ...] = ()
    code: bool = False
    made: Catalog | None = None


@dataclass(slots=True)
class State:
    """All there is of a session, beside the bytes that have not been read yet."""

    context: Context
    session_id: str
    address: str
    listener: str = ""  # the address that the frontend came in by
    upstream: str = ""  # where it goes; "": where all others go
    out: list[Command] = field(default_factory=list)
    now: float = 0.0
    phase: Phase = Phase.OPENING
    pending: deque[Pending] = field(default_factory=deque)
    registry: Registry = field(default_factory=Registry)
    status: int = IDLE  # of the last ReadyForQuery
    encoding: str = "UTF8"
    conforming: bool = True
    backend_key: tuple[int, bytes] | None = None
    guard: QueryPending | ExecutePending | None = None  # what may be cut, unanswered
    unsettled: int = 0  # unanswered messages that may change how texts are read
    doomed: Refusal | None = None  # this extended query will fail: all of it up to Sync
    skipping: bool = False  # the backend discards everything up to Sync
    segment_writes: bool = False  # something before Sync may have changed data
    segment_open: bool = False  # extended query messages were sent, and no Sync yet
    copying: QueryPending | ExecutePending | None = None  # COPY from the frontend, not ended by it
    pending_bytes: int = 0
    flushed: bool = False  # a Flush of ours is behind the last message
    read_subjects: bool = False  # since the last ReadyForQuery
    changed_catalog: bool = False  # within this transaction
    changed_code: bool = False  # and perhaps what functions do
    fresh: tuple[tuple[Relation, bool], ...] = ()  # made since then; tainted?
    copied_into: frozenset[Relation] = frozenset()  # within this transaction, for everyone
    own_tainted: frozenset[Relation] = frozenset()  # temporary ones with subjects' data
    touched: frozenset[Relation] = frozenset()  # made or renamed since the catalog was read
    cut: Cut | None = None
    cancelling: bool = False
    awaited: bytes | None = None  # the text that a worker was asked to read
    waits_for_worker: bool = False
    waits_for_answers: bool = False  # to all that is under way: a name is not known for certain
    own_query: bool = False  # Vigie reads the catalog or asks for a plan
    adopting: bool = False  # what the lane has passed is taken over
    has_asked: bool = False  # and it was charged there as a query
    # what the lane has found of a query that it did not pass: it, its walk, what is unusual
    tried: tuple[bytes, Walked, Behaviour] | None = None
    path: tuple[str, ...] | None = None  # search_path of this session; None: not known
    path_failed: bool = False  # it could not be had; not asked for again until it changes
    catalog_cancels: int = 0  # how often in a row a cancel has hit the question for it
    catalog_failed_at: float | None = None  # when it could not be read in this session
    changed_path: bool = False  # the session has one of its own
    is_encrypted: bool = False  # the frontend speaks through TLS
    certificate: Certificate | None = None  # that the frontend presented
    failed_hard: bool = False  # the backend said FATAL: it will close
    terminated: bool = False  # the frontend said Terminate: the backend will close
    heard_at: float = 0.0  # when the frontend sent something
    draining: bool = False  # it ends as soon as it is idle
    is_walsender: bool = False  # it takes no questions of ours: an error drops what it has made
    is_asked: bool = False  # the backend waits for a password
    unasked: Unasked | None = None  # what the frontend wanted and was not told it does not get
    has_entered: bool = False  # it is counted among the sessions that are open
    has_logged_in: bool = False  # and among those of its role
    _principal: tuple[Principal, Decisions, Reader] | None = None
    delay_seconds: float = 0.0  # that what this event releases is held back
    trust: Trust | None = None  # whose word of for whom it acts is believed; None: it is not
    followed: FollowedSettings | None = None  # those that say it
    behalf: Behalf = NOBODY  # for whom the statement in hand is
    naming: str = ""  # whether it said so
    has_charged: bool = False
    _accounts: dict[Behalf, Account] = field(default_factory=dict)
    _order_accounts: dict[str, Account] = field(default_factory=dict)
    _seen: _SeenCatalog = field(default_factory=_SeenCatalog)

    def login(self, principal: Principal, reader: Reader, settings: Mapping[str, str]) -> None:
        """Say who acts, and with which settings it begins."""
        decisions = Decisions(self.context, self.session_id, principal, self.order_for)
        self._principal = (principal, decisions, reader)
        self._find_trust(settings)

    def policy_changed(self) -> None:
        """Open the account anew when it is needed: the budgets are others, and who is believed."""
        self._accounts.clear()
        if self._principal is not None:
            self._find_trust(None)

    def act_for(self, behalf: Behalf) -> None:
        """From now on charge and record what is done as done for these."""
        self.behalf = behalf
        self.decisions.act_for(behalf)

    def _find_trust(self, settings: Mapping[str, str] | None) -> None:
        """Find out whether names are believed, and which settings say them."""
        self.trust = trust = self.context.policy.trust_in(self.decisions.principal)
        if trust is None:
            self.act_for(NOBODY)
            self.naming = ""
        names = frozenset[str]() if trust is None else trust.settings
        if self.followed is None or self.followed.names != names:
            self.followed = FollowedSettings(names, settings) if names else None

    @property
    def account(self) -> Account:
        """What the principal has received; opened when needed, not for whoever names a role."""
        behalf = self.behalf
        found = self._accounts.get(behalf)
        if found is None:
            assert self._principal is not None
            principal, context = self._principal[0], self.context
            if len(self._accounts) >= MAX_ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
            found = self._accounts[behalf] = context.ledger.account(
                principal,
                context.policy.budgets_for(principal.role),
                end_user=behalf.end_user,
                application=behalf.application,
            )
            self.has_charged = True
        return found

    def order_for(self, facts: StatementFacts) -> WorkOrder | None:
        """Return the work order that a statement is inside of."""
        orders = self.context.orders
        if not orders.by_role or self._principal is None:
            return None
        return orders.find(self._principal[0].role, facts, self.catalog, self.now)

    def account_for(self, facts: StatementFacts, columns: Sequence[ResultColumn]) -> Account:
        """Return what a result of these columns is charged to: an order's account, or one's own."""
        order = self.order_for(facts)
        if order is None or not columns_are_inside(order, columns, self.catalog):
            return self.account
        found = self._order_accounts.get(order.id)
        if found is None:
            role = self.decisions.principal.role
            found = self.context.ledger.order_account(order.id, role, order.budget)
            self._order_accounts[order.id] = found
        return found

    @property
    def is_unsure(self) -> bool:
        """Whether it may have said for whom it acts, and the backend alone knows."""
        return self.followed is not None and self.followed.is_unsure

    @property
    def is_covered(self) -> bool:
        """Whether what was charged may leave."""
        if not self.context.catalogs.is_kept:
            return False
        has_charged = self.has_charged or bool(self._order_accounts)
        return not has_charged or self.context.ledger.is_covered

    @property
    def decisions(self) -> Decisions:
        """Who judges."""
        assert self._principal is not None
        return self._principal[1]

    @property
    def reader(self) -> Reader:
        """Whose catalog it is."""
        assert self._principal is not None
        return self._principal[2]

    @property
    def is_idle(self) -> bool:
        """Whether the backend waits for a message, outside of any transaction."""
        open_ended = self.skipping or self.segment_open
        return not self.pending and self.status == IDLE and not open_ended

    @property
    def is_full(self) -> bool:
        """Whether so much is unanswered that no more is taken."""
        return len(self.pending) >= MAX_PENDING or self.pending_bytes >= MAX_PENDING_BYTES

    @property
    def catalog(self) -> Catalog | None:
        """The catalog as this session sees it; the same object as long as nothing changes."""
        book, database, seen = self.context.catalogs, self.reader.database, self._seen
        base, tainted = book.catalog(database), book.tainted(database)
        if base is not seen.base and self.status == IDLE:
            self.touched, self.fresh = frozenset(), ()
        touched, fresh = self.touched | self.own_tainted, self.fresh
        is_same = base is seen.base and self.path == seen.path and fresh == seen.fresh
        is_same = is_same and self.changed_code == seen.code
        if not is_same or tainted is not seen.tainted or touched != seen.touched:
            made = None
            if base is not None:
                made = base.with_changes(tainted | touched, dict(fresh))
                made = made.with_search_path(self.path)
                if self.changed_code:
                    made = made.without_bodies()
            self._seen = _SeenCatalog(
                base, self.path, tainted, touched, fresh, self.changed_code, made
            )
        return self._seen.made

    def hold_back(self) -> None:
        """Let what is to be sent wait until it is kept, and as long as a budget says."""
        if not self.is_covered:
            self.out.insert(0, AwaitState())
        if self.delay_seconds:
            self.out.insert(0, Delay(self.delay_seconds))
            self.delay_seconds = 0.0

    def to_frontend(self, data: bytes) -> None:
        """Send bytes to the frontend."""
        self.out.append(SendFrontend(data))

    def to_backend(self, data: bytes) -> None:
        """Send bytes to the backend."""
        self.out.append(SendBackend(data))

    def push(self, pending: Pending) -> None:
        """Wait for the answer to a message that goes to the backend, unless it is discarded."""
        if self.skipping:
            return
        self.pending.append(pending)
        self.pending_bytes += kept_bytes(pending)
        self.flushed = False
        if isinstance(pending, QueryPending | ExecutePending):
            self.unsettled += pending.unsettles
            if pending.guarded:
                self.guard = pending
            if pending.ends:
                self.copying = pending

    def pop(self) -> None:
        """The first pending message is answered, or will never be."""
        pending = self.pending.popleft()
        self.pending_bytes -= kept_bytes(pending)
        if isinstance(pending, QueryPending | ExecutePending):
            self.unsettled -= pending.unsettles
        if self.guard is pending:
            self.guard = None
        if self.copying is pending:
            self.copying = None

    def end_copy(self) -> None:
        """The frontend has ended a COPY of its own; outside of one the backend ignores that."""
        if self.copying is not None:
            self.copying.ends -= 1
            if not self.copying.ends:
                self.copying = None

    def flush(self) -> None:
        """Make the backend send what it has answered; for want of a Sync it may keep it."""
        if self.flushed or not self.pending:
            return
        if not isinstance(self.pending[-1], SyncPending | QueryPending | FunctionPending):
            self.flushed = True
            self.to_backend(FLUSH)

    def skip_to_sync(self) -> None:
        """Forget what the backend discards after an error.

        Source: PostgreSQL documentation, "Extended Query": messages are discarded until a Sync.
        """
        while self.pending:
            if isinstance(self.pending[0], SyncPending):
                return
            self.pop()
        self.skipping = True

    def fail(self, sqlstate: str, message: str, *, detail: str = "", hint: str = "") -> None:
        """End the session with a FATAL error for the frontend, and a Terminate for the backend."""
        if self.phase is Phase.CLOSED:
            return
        fatal = error_response(sqlstate, message, detail=detail, hint=hint, severity="FATAL")
        self.to_frontend(fatal)
        self.close(terminate=self.phase is not Phase.OPENING)

    def close(self, *, terminate: bool) -> None:
        """Close both sides."""
        if terminate:
            self.to_backend(TERMINATE)
        self.out += [CloseBackend(), CloseFrontend()]
        self.phase = Phase.CLOSED
