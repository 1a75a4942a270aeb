"""The fast lane: an everyday statement that was judged before, and its whole answer in one chunk.

The lane is open while a session is at rest. A chunk that is exactly one query whose template is
known to be allowed, and without effect on the session, goes to the backend as it came; so does its
answer, if it is whole and begins as the answer did when it was learnt. What it costs is charged
before (``lane_charges``). At anything else the session *adopts* what is under way, as if it had
taken it itself, and goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.errors import WireError
from proxy.meter.plan import FREE
from proxy.session.bound_keys import NO_KEYS, named_keys
from proxy.session.commands import Judged, SendBackend
from proxy.session.events import BackendBytes, FrontendBytes
from proxy.session.lane_book import BOOK_BYTES, KIND_NUMBERS, METHOD_NUMBERS, Book
from proxy.session.lane_charges import LaneCharges, is_plain
from proxy.session.pending import BindPending, ParsePending, QueryPending
from proxy.session.phases import Phase
from proxy.session.results import plan_result
from proxy.session.speaking import follow
from proxy.session.state import ABORTED, IDLE
from proxy.session.statements import Portal, Prepared, calls_code
from proxy.session.tariff import is_chargeable, make_tariff
from proxy.sql import reads_definitions
from proxy.sql.cache import TwoGenerations
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.finding import Action
from proxy.wire.backend import Tag, decode_row_description

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from proxy.accel.lane_state import Known
    from proxy.meter.plan import ChargePlan
    from proxy.session.bound_keys import Keys
    from proxy.session.commands import Command
    from proxy.session.events import Event
    from proxy.session.state import State
    from proxy.session.tariff import Tariff
    from proxy.sql import Catalog

_KINDS: Final = frozenset(
    {Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.TRANSACTION, Kind.SHOW}
)
_HEAD: Final = frozenset({Tag.PARSE_COMPLETE, Tag.BIND_COMPLETE, Tag.ROW_DESCRIPTION, Tag.NO_DATA})
_HEADER_BYTES: Final = 5
_ENTRY_BYTES: Final = 512  # what one takes in a book beside its texts, about


@dataclass(slots=True)
class _Candidate:
    key: Hashable
    facts: StatementFacts
    text: bytes
    makes: str | None = None
    fixed: Keys = NO_KEYS  # that its predicates named
    is_query: bool = False
    fits: bool = True  # its facts hold for other constants, whatever they are


class Lane:
    """The lane of one session; ``passing`` is what each chunk meets."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._candidate: _Candidate | None = None
        self._book: Book | None = None
        self._seen: tuple[Catalog | None, str] = (None, "")
        self._charges = LaneCharges(state)
        context = state.context
        self.passing = accel.LaneState(
            context.lane_counts, self._text_of, self._answered, self._charges
        )
        self.passing.epochs = context.catalogs.epochs

    def take_frontend(self, chunk: bytes) -> bool:
        """Whether the chunk goes to the backend as it is."""
        passing, now = self.passing, self._state.now
        if not passing.is_open or passing.is_under_way:
            return False
        if passing.epoch != passing.epochs[0] or now >= passing.valid_until:
            self._look_again()
        return passing.passes_frontend(chunk, now)

    def take_backend(self, chunk: bytes, now: float) -> bool:
        """Whether the chunk goes to the frontend as it is."""
        return self.passing.passes_backend(chunk, now)

    def release(self, event: Event) -> bool:
        """Say what charging has left to the session; whether the event was an answer charged."""
        state = self._state
        faults, self._charges.faults = self._charges.faults, []
        state.out += faults
        if isinstance(event, FrontendBytes) and state.tried and state.tried[0] is not event.chunk:
            state.tried = None
        charged, self.passing.charged = self.passing.charged, None
        if charged is None:
            return False
        state.to_frontend(charged)
        is_whole = isinstance(event, BackendBytes) and event.chunk is charged
        if is_whole:
            state.hold_back()
        return is_whole

    @property
    def is_under_way(self) -> bool:
        """Whether a chunk was passed and is not answered."""
        return self.passing.is_under_way

    def take_under_way(self) -> bytes | None:
        """Return what was passed and is not answered, which the session has to adopt."""
        self._state.has_asked = self.passing.has_charged
        return self.passing.take_under_way()

    def _look_again(self) -> None:
        """Find out with which catalog the lane works, and how long that is to be believed."""
        state, passing = self._state, self.passing
        passing.look_again()
        context, catalog = state.context, state.catalog
        passing.epoch = passing.epochs[0]
        passing.valid_until = context.catalogs.fresh_until(
            state.reader.database, context.catalog_refresh_seconds
        )
        if self._book is None or self._seen[0] is not catalog or self._seen[1] != state.encoding:
            self._seen = (catalog, state.encoding)
            self._book = self._find_book(catalog)
        self._charges.forget()
        passing.book = self._book
        passing.forbids = self._holds_something if context.inspects else None

    def _answered(self, known: Known, status: int) -> None:
        """What was passed is answered, and names or the status of the transaction change."""
        state = self._state
        state.status = status
        if state.followed is not None:
            follow(state, known.facts, None)
            state.followed.ready(idle=status == IDLE, aborted=status == ABORTED)
        if known.text is not None:
            self._keep_names(known, known.text)
        if status == IDLE:
            state.registry.end_transaction()

    def _holds_something(self, chunk: bytes) -> bool:
        """Whether something in it has to be charged."""
        context = self._state.context
        if context.canaries is not None and context.canaries.find(chunk) is not None:
            return True
        return context.content is not None and bool(context.content.count(chunk))

    # learning

    def forget(self) -> None:
        """What was learnt no longer holds."""
        self._book = self._candidate = None
        self._charges.forget()
        self.passing.look_again()

    def close(self) -> bool:
        """The session takes what comes; return whether it was at rest until now."""
        was_open, self.passing.is_open = self.passing.is_open, False
        return was_open

    def watch(self, chunk: bytes, commands: Sequence[Command]) -> None:
        """Note what the session, at rest until then, has made of a chunk of the frontend."""
        self._candidate = None
        judged = [one.judgement for one in commands if isinstance(one, Judged)]
        if len(judged) != 1 or judged[0].findings or judged[0].verdict is not Action.ALLOW:
            return
        if b"".join(one.data for one in commands if isinstance(one, SendBackend)) != chunk:
            return  # something else stands for it
        key = self.passing.key_of(chunk)
        if key is not None:
            self._candidate = self._candidate_of(key)

    def learn(self, chunk: bytes) -> None:
        """Open the lane if the session is at rest, and learn from the answer that it just took."""
        state = self._state
        candidate, self._candidate = self._candidate, None
        is_open = (
            state.phase is Phase.READY
            and not state.pending
            and not (state.skipping or state.segment_open or state.own_query)
            and state.copying is None
            and not (state.cancelling or state.waits_for_worker or state.draining)
            and state.cut is None
            and state.doomed is None
            and state.conforming
            and state.path is not None
        )
        passing = self.passing
        passing.look_again()
        passing.is_open, passing.status = is_open, state.status
        if candidate is None or not is_open or self._book is None:
            return
        if self._seen != (state.catalog, state.encoding) or self._is_about_names(candidate.facts):
            return
        head, facts = _head_of(chunk), candidate.facts
        if head is None or accel.answer_rows(chunk, head, facts.returns_rows) < 0:
            return
        plan, tariff = self._plan_of(candidate, head), None
        if facts.reads_subjects or not candidate.fits:
            tariff = self._tariff_of(candidate, plan)
            if tariff is None:
                return
        elif not plan.is_free:
            return
        kind, method = KIND_NUMBERS[facts.kind], METHOD_NUMBERS[plan.method]
        text = None if candidate.is_query else candidate.text
        known = accel.Known(facts, kind, head, candidate.makes, text, method=method, tariff=tariff)
        self._book.put(candidate.key, known, len(head) + len(candidate.text) + _ENTRY_BYTES)

    def _is_about_names(self, facts: StatementFacts) -> bool:
        """Whether it has to be known for whom it is, or with which savepoint that is undone."""
        state = self._state
        if state.trust is None:
            return False
        return state.context.policy.asks_for_whom or bool(state.followed and facts.savepoint)

    def _candidate_of(self, key: Hashable) -> _Candidate | None:
        state = self._state
        pending = list(state.pending)
        if any(getattr(one, "refusal", None) is not None for one in pending):
            return None
        first = pending[0] if pending else None
        if isinstance(first, QueryPending):
            if len(pending) != 1 or len(first.statements) != 1:
                return None
            facts = first.statements[0]
            has_literals = isinstance(key, bytes) and (b"\x01" in key or b"\x02" in key)
            if not self._is_everyday(facts):
                return None
            fits = facts.fits_template or not has_literals
            fixed = named_keys(facts)
            return _Candidate(key, facts, first.text, fixed=fixed, is_query=True, fits=fits)
        bound = next((one for one in pending if isinstance(one, BindPending)), None)
        if bound is None or not self._is_everyday(bound.portal.facts):
            return None
        makes = first.name if isinstance(first, ParsePending) else None
        portal = bound.portal
        fixed = named_keys(portal.facts, portal.parameters, portal.parameter_formats)
        return _Candidate(key, portal.facts, portal.text, makes=makes, fixed=fixed)

    def _is_everyday(self, facts: StatementFacts) -> bool:
        return _is_everyday(facts) and not calls_code(facts, self._state.catalog)

    def _plan_of(self, candidate: _Candidate, head: bytes) -> ChargePlan:
        """Return how the rows behind these frames are charged."""
        plan, at = FREE, 0
        while at < len(head):
            end = at + 1 + int.from_bytes(head[at + 1 : at + _HEADER_BYTES], "big")
            if head[at] == Tag.ROW_DESCRIPTION:
                columns = decode_row_description(head[at + _HEADER_BYTES : end])
                catalog = self._state.catalog
                plan = plan_result(candidate.facts, columns, catalog, candidate.fixed)
            at = end
        return plan

    def _tariff_of(self, candidate: _Candidate, plan: ChargePlan) -> Tariff | None:
        """Return what it costs; None: not always the same."""
        state, facts, context = self._state, candidate.facts, self._state.context
        if state.trust is not None or not is_plain(state, facts):
            return None  # it is charged to whom it says; its rows leave otherwise than they came
        is_unread = facts.key_filters and not candidate.fixed
        if not is_chargeable(facts) or plan.everything or is_unread:
            return None
        runs = None
        if not plan.is_free:
            runs = accel.RunCharger(plan, context.secret, context.policy.bytes_per_subject)
        believed = context.plan_seconds or math.inf
        return make_tariff(
            facts,
            candidate.text,
            plan,
            runs,
            is_query=candidate.is_query,
            valid_until=state.now + believed,
        )

    # keys

    def _text_of(self, statement: bytes) -> bytes | None:
        prepared = self._state.registry.prepared.get(statement.decode("latin-1"))
        if prepared is None or prepared.wrapped or prepared.encoding != self._seen[1]:
            return None
        return prepared.text if prepared.catalog is self._seen[0] else None

    def _find_book(self, catalog: Catalog | None) -> Book:
        state = self._state
        books = state.context.lane_books
        version = None if catalog is None else (catalog.version, catalog.search_path)
        key = (state.decisions.principal, version, state.encoding)
        book = books.get(key)
        if book is None:
            book = TwoGenerations(BOOK_BYTES)
            books.put(key, book, BOOK_BYTES)
        return book

    def _keep_names(self, known: Known, text: bytes) -> None:
        registry = self._state.registry
        if known.makes is not None:
            made = Prepared(known.facts, text, self._seen[0], encoding=self._seen[1])
            registry.prepare(known.makes, made)
        if self._state.status != IDLE:
            registry.open("", Portal(known.facts, text))


def _is_everyday(facts: StatementFacts) -> bool:
    """Whether a statement is free or costs what is known, and changes nothing of the session."""
    return (
        facts.kind in _KINDS
        and (is_chargeable(facts) or not facts.reads_subjects)
        and not (facts.changes_session or facts.changes_catalog or facts.stages)
        and not facts.side_doors
        and not (facts.rolls_back_to or facts.settings or reads_definitions(facts))
    )


def _head_of(chunk: bytes) -> bytes | None:
    """Return the frames before rows and CommandComplete; None: there are others."""
    at = 0
    while at + _HEADER_BYTES <= len(chunk) and chunk[at] in _HEAD:
        at += 1 + int.from_bytes(chunk[at + 1 : at + _HEADER_BYTES], "big")
    if at > len(chunk):
        raise WireError("a message ends behind its chunk")
    return chunk[:at] if chunk[at : at + 1] in {b"D", b"C"} else None
