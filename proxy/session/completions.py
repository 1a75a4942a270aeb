"""What follows when the backend has carried something out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.commands import Masked, Released
from proxy.session.noticing import note_received
from proxy.session.pending import (
    BindPending,
    ExecutePending,
    FunctionPending,
    QueryPending,
    SyncPending,
)
from proxy.session.speaking import follow
from proxy.session.state import ABORTED, IDLE
from proxy.session.statements import Portal, unknown_name
from proxy.terms.facts import Kind, StatementFacts

if TYPE_CHECKING:
    from proxy.session.followed_settings import FollowedSettings
    from proxy.session.names import Names
    from proxy.session.pending import Pending
    from proxy.session.results import Result
    from proxy.session.state import State
    from proxy.terms.relation import Relation

_MAX_FRESH: Final = 256
# These change the catalog, and no function.
_NO_CODE: Final = frozenset({Kind.CREATE_TABLE_AS, Kind.CREATE_VIEW, Kind.GRANT, Kind.SET})


class Completions:
    """Keeps names, transaction, catalog and search_path in step with the backend."""

    def __init__(self, state: State, names: Names) -> None:
        self._state = state
        self._names = names

    def bound(self, pending: BindPending) -> None:
        """A portal was made, of what the backend knows by that name now."""
        registry = self._state.registry
        prepared = registry.prepared.get(pending.statement)
        portal = pending.portal
        if prepared is None:
            portal.facts = unknown_name(portal.facts, "prepared statement")
        elif prepared.text != portal.text:
            portal.facts, portal.text = self._names.current(prepared), prepared.text
        registry.open(pending.name, portal)

    def completed(self, head: Pending, *, suspended: bool) -> None:
        """A statement is done (or a portal has given as many rows as it was asked for)."""
        state = self._state
        match head:
            case QueryPending():
                self.released(head.result)
                if head.index < len(head.statements):
                    self._take_effect(head.statements[head.index], None)
                head.index += 1
                head.result, head.described = None, False
            case ExecutePending():
                portal = state.registry.portals.get(head.name)
                self.released(head.result or (portal.result if portal else None))
                if portal is not None and not suspended:
                    self._take_effect(portal.facts, portal)
                elif portal is not None and state.followed is not None:
                    # a function was called for the row that was sent
                    follow(state, self._names.resolve_now(portal.facts), portal)
                state.pop()
            case _:
                raise WireError(f"a statement completes, but {type(head).__name__} is first")

    def ready(self, status: int, head: Pending) -> None:
        """The backend waits for the next message."""
        state = self._state
        if not isinstance(head, QueryPending | SyncPending | FunctionPending):
            raise WireError(f"ReadyForQuery, but {type(head).__name__} is not answered")
        if isinstance(head, QueryPending) and head.index < len(head.statements):
            raise WireError("ReadyForQuery, but a statement of the Query is not answered")
        if isinstance(head, FunctionPending):
            if head.result is None and not head.failed:
                raise WireError("ReadyForQuery, but the FunctionCall is not answered")
            self.released(head.result)
        state.pop()
        state.status = status
        if state.followed is not None:
            state.followed.ready(idle=status == IDLE, aborted=status == ABORTED)
        state.read_subjects = False
        if status == IDLE:
            state.registry.end_transaction()
            if state.changed_catalog:  # visible to others only now
                state.changed_catalog = state.changed_code = False
                state.context.catalogs.changed(state.reader.database)
            if state.copied_into:
                state.context.catalogs.settle(state.reader.database, state.copied_into)
                state.copied_into = frozenset()

    def copying_in(self, head: Pending) -> None:
        """The backend reads COPY data, and ignores each Sync until it has their end."""
        state = self._state
        if not isinstance(head, QueryPending | ExecutePending):
            raise WireError(f"CopyInResponse does not answer {type(head).__name__}")
        if head.copies:
            head.copies -= 1
            return
        if head is not state.pending[-1]:  # the backend takes what follows for damaged COPY data
            raise WireError("a message other than CopyData was sent ahead of COPY")
        head.ends += 1
        state.copying = head

    def released(self, result: Result | None) -> None:
        """Count what left."""
        if result is None:
            return
        rows, size = result.take_counts()
        if rows or size:
            self._state.out.append(Released(result.plan.method, rows, size))
        if result.mask is not None and result.mask.masker is not None:
            counts = result.mask.masker.take_counts()
            self._state.out += [Masked(how, count) for how, count in counts.items()]
        if rows and not result.plan.is_free:
            note_received(self._state, rows)

    def _take_effect(self, facts: StatementFacts, portal: Portal | None) -> None:
        state = self._state
        ran = self._names.resolve_now(facts)
        follow(state, ran, portal)
        state.registry.apply(facts, portal)
        state.read_subjects |= ran.reads_subjects and ran.kind is not Kind.SET
        database = state.reader.database
        # A relation that is not in the catalog and is not tainted was made a moment ago, and holds
        # no subject's data: what put some there would have tainted it.
        unknown_alone = ran.unknown_relations and not ran.reads_known_subjects
        if ran.stages and not unknown_alone:
            self._taint(self._new_places(ran))
        if ran.stages_keys:  # tables of the site have keys in plenty, and are what its map says
            self._taint(frozenset(filter(_is_temporary, self._new_places(ran))))
        changes_catalog = ran.changes_catalog or ran.kind is Kind.OPAQUE
        if changes_catalog:
            state.context.catalogs.changed(database)
            state.changed_catalog = True
            state.changed_code |= _may_change_code(ran)
            if ran.creates:  # in this transaction they are not what the catalog says
                state.touched |= ran.creates
                made = dict.fromkeys(ran.creates, not ran.creates_clean or ran.stages_keys)
                # one that is forgotten is a relation that nobody knows
                state.fresh = tuple({**dict(state.fresh), **made}.items())[-_MAX_FRESH:]
        if changes_catalog or may_change_session(ran):
            state.path, state.path_failed, state.changed_path = None, False, True

    def _new_places(self, facts: StatementFacts) -> frozenset[Relation]:
        """Return where a statement has copied subjects' data to, and nobody counted it before.

        A relation of subjects stays what it is: to take all of it for unknown would stop the work.
        """
        catalog = self._state.catalog
        known = catalog.subjects if catalog is not None else {}
        written = facts.writes | facts.creates
        return frozenset(one for one in written if one not in known or not known[one].whole.subject)

    def _taint(self, relations: frozenset[Relation]) -> None:
        """Note copies of subjects' data: temporary ones are seen by this session alone."""
        state = self._state
        own = frozenset(filter(_is_temporary, relations))
        state.own_tainted |= own
        state.fresh = tuple((one, held or one in relations) for one, held in state.fresh)
        if relations - own:
            state.copied_into |= relations - own
            state.context.catalogs.taint(state.reader.database, relations - own)


def _is_temporary(relation: Relation) -> bool:
    return relation.schema.startswith("pg_temp")


def _may_change_code(facts: StatementFacts) -> bool:
    """Whether a function may be another one now."""
    makes_relation = facts.kind is Kind.DDL and bool(facts.creates)
    is_plain = facts.kind in _NO_CODE or makes_relation
    return not is_plain or bool(facts.unknown_functions) or facts.opaque is not None


def may_change_session(facts: StatementFacts) -> bool:
    """Whether a statement may change how the next one is read: it says so, or runs any code."""
    runs_code = facts.kind in {Kind.DO, Kind.CALL} or bool(facts.unknown_functions)
    return facts.changes_session or runs_code or facts.opaque is not None


def may_unsettle(facts: StatementFacts, followed: FollowedSettings | None) -> bool:
    """Whether what follows may be read otherwise, or charged to others, once it is done."""
    names_others = followed is not None and followed.concerns(facts)
    return may_change_session(facts) or facts.changes_catalog or names_others
