"""What the sessions of one Vigie share. No I/O: chance and clocks come in as functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.content.detectors import ContentWatch
from proxy.meter.habits import HABITS_BYTES, Habits
from proxy.session.admission import Admission
from proxy.session.catalog_book import CatalogBook
from proxy.session.order_book import OrderBook
from proxy.sql import Analyser
from proxy.sql.cache import TwoGenerations
from proxy.terms.budget import CONTENT
from proxy.terms.finding import Action, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from proxy.accel.lane_state import LaneCounts
    from proxy.content.canaries import CanaryWatch
    from proxy.meter.known_names import KnownNames
    from proxy.meter.ledger import Ledger
    from proxy.meter.walk import Walks
    from proxy.policy import Policy
    from proxy.session.lane_book import Book
    from proxy.session.routes import Route
    from proxy.sql.planner import Plan
    from proxy.terms.finding import Judgement
    from proxy.terms.principal import Principal

_JUDGEMENTS_BYTES: Final = 16 * 1024 * 1024
_WALKS_BYTES: Final = 64 * 1024 * 1024  # of 100 principals that all walk; most take little
_HABITS_BYTES: Final = 256 * 1024 * 1024  # of 400 principals at most; most take little
_PLANS_BYTES: Final = 16 * 1024 * 1024
_BOOKS_BYTES: Final = 256 * 1024 * 1024


def _lane_counts() -> LaneCounts:
    return accel.LaneCounts()


def _content(policy: Policy) -> ContentWatch | None:
    """Return what counts in what leaves all that some budget asks for; None: none does."""
    wanted = {budget.measure for budget in policy.budgets} & CONTENT
    return ContentWatch(wanted, policy.patterns, accel.content_scanners) if wanted else None


@dataclass(slots=True)
class Context:
    """What decides, and what is counted. ``adopt`` changes the policy under running sessions.

    Args:
        policy: rules, budgets and the schema map.
        analyser: texts to facts, with its caches.
        ledger: what each principal has received.
        secret: key of the hashes that stand for subject keys.
        random_bytes: gives so many unpredictable bytes.
        stopwatch: seconds of a clock with a fine resolution, for measuring.
        mode: observe: nothing is refused, cut or held back.
        on_internal_error: what an error of ours becomes in enforce mode: BLOCK, or ALLOW.
        max_statement_bytes: a longer Query or Parse ends the session.
        catalog_refresh_seconds: how long a catalog is believed.
        routes: to other upstreams than the first.
        admission: how many sessions there may be, and are.
        catalogs: those that were read.
        lane_books: what fast lanes know, by principal, catalog and encoding.
        lane_counts: what went through them.
        orders: work orders that are in force.
        judgements: by principal, shape of the facts and row bound.
        walks: through tables, by principal.
        habits: of principals, learned as long as the process runs.
        wall: seconds since 1970, for working hours; None: nobody knows, and none are kept.
        known_names: that principals have given and were believed, by principal.
        plan_seconds: how long a plan is believed; 0: the planner is never asked.
        plans: (plan, when) by reader, catalog, and text or shape of the facts.
        canaries: what looks for planted subjects in what leaves; None: none are planted.
    """

    policy: Policy
    analyser: Analyser
    ledger: Ledger
    secret: bytes
    random_bytes: Callable[[int], bytes]
    stopwatch: Callable[[], float]
    mode: Mode = Mode.ENFORCE
    on_internal_error: Action = Action.BLOCK
    max_statement_bytes: int = 1 << 26
    catalog_refresh_seconds: float = 30.0
    routes: Sequence[Route] = ()
    admission: Admission = field(default_factory=Admission)
    catalogs: CatalogBook = field(default_factory=CatalogBook)
    lane_books: TwoGenerations[Hashable, Book] = field(
        default_factory=lambda: TwoGenerations(_BOOKS_BYTES)
    )
    lane_counts: LaneCounts = field(default_factory=_lane_counts)
    orders: OrderBook = field(default_factory=OrderBook)
    judgements: TwoGenerations[tuple[Principal, object, object], Judgement] = field(
        default_factory=lambda: TwoGenerations(_JUDGEMENTS_BYTES)
    )
    walks: TwoGenerations[str, Walks] = field(default_factory=lambda: TwoGenerations(_WALKS_BYTES))
    habits: TwoGenerations[str, Habits] = field(
        default_factory=lambda: TwoGenerations(_HABITS_BYTES)
    )
    wall: Callable[[], float] | None = None
    known_names: dict[str, KnownNames] = field(default_factory=dict)
    plan_seconds: float = 0.0
    plans: TwoGenerations[Hashable, tuple[Plan | None, float]] = field(
        default_factory=lambda: TwoGenerations(_PLANS_BYTES)
    )
    canaries: CanaryWatch | None = None
    content: ContentWatch | None = field(init=False)

    def __post_init__(self) -> None:
        self.content = _content(self.policy)

    @property
    def inspects(self) -> bool:
        """Whether what leaves is looked at as bytes."""
        return self.canaries is not None or self.content is not None

    @property
    def enforces(self) -> bool:
        """Whether verdicts are carried out."""
        return self.mode is Mode.ENFORCE

    def adopt(self, policy: Policy) -> None:
        """Decide by another policy from the next statement on; each session has to be told.

        What was used of a budget stays used, under the limit and window of the new one.
        """
        if policy.schema_map != self.policy.schema_map:
            self.catalogs.adopt(self.policy.schema_map, policy.schema_map)
            self.analyser = Analyser(policy.schema_map, cut=accel.cut_literals)
        self.policy, self.content = policy, _content(policy)
        self.lane_books = TwoGenerations(_BOOKS_BYTES)
        self.judgements = TwoGenerations(_JUDGEMENTS_BYTES)
        self.ledger.forget_policy()

    def habits_of(self, key: str, now: float) -> Habits:
        """Return what is known of how a principal works."""
        found = self.habits.get(key)
        if found is None:
            found = Habits(now)
            self.habits.put(key, found, HABITS_BYTES)
        return found

    def new_id(self) -> str:
        """Return 12 hex digits for a session or a finding."""
        return self.random_bytes(6).hex()
