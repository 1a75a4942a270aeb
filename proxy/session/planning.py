"""The planner is asked in the frontend's own session, before a text is judged for the first time.

In its own terms, so: its role, search_path, temporary relations and open transaction. Only while
the backend is idle; within a transaction a savepoint undoes an error. Nothing of it reaches the
frontend. A plan may accuse (it reads what no parser saw; it expects very many rows), and its
absence or a small estimate clears nobody.

Source: PostgreSQL documentation, "EXPLAIN", "SAVEPOINT", "plan_cache_mode".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.pending import PlanPending
from proxy.sql.planner import (
    MAX_PLANNED_BYTES,
    explain_text,
    may_be_planned,
    planned_query,
    read_plan,
    witnessed,
)
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind
from proxy.wire.backend import Tag, decode_data_row
from proxy.wire.encode import SYNC, bind, close, execute, parse
from proxy.wire.frames import Frame, Piece, Run, frames_in

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from proxy.session.state import State
    from proxy.sql.planner import Plan
    from proxy.terms.facts import StatementFacts

_IDLE: Final = ord("I")
_IN_TRANSACTION: Final = ord("T")
_NAME: Final = b"vigie_plan"
_INNER: Final = b"vigie_planned"
_SAVE: Final = b"SAVEPOINT vigie_plan"
_UNDO: Final = (b"ROLLBACK TO SAVEPOINT vigie_plan", b"RELEASE SAVEPOINT vigie_plan")
_GENERIC: Final = b"SET LOCAL plan_cache_mode = force_generic_plan"
_PARAMETER: Final = re.compile(rb"\$(\d{1,5})")
_CODECS: Final = {"LATIN1": "latin-1", "LATIN9": "iso8859-15", "WIN1252": "cp1252"}
_UTF8: Final = frozenset({"UTF8", "UNICODE", "SQL_ASCII"})
_MOST_PLANNED: Final = 8  # statements of one text: each is a round trip
_ENTRY_BYTES: Final = 512  # what a plan takes beside its key, about


class Planning:
    """Asks for plans, and adds to the facts what they say."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._last: tuple[Hashable, Plan | None] | None = None

    def must_ask(
        self, text: bytes, resolved: Sequence[StatementFacts], *, types: bytes = b"", idle: bool
    ) -> bool:
        """Ask for the plan of a text nobody knows one of; whether the text has to wait for it.

        Args:
            text: as the frontend sent it.
            resolved: the facts of its statements, with what EXECUTE runs.
            types: of the parameters, as in Parse.
            idle: no extended query was open before this message.
        """
        if not self._state.context.plan_seconds or not idle or not self._can_ask():
            return False
        return any(
            own is not None and self._ask(own, facts, types)
            for own, facts in zip(self._texts(text, resolved), resolved, strict=True)
        )

    def witnessed(self, text: bytes, resolved: Sequence[StatementFacts]) -> list[StatementFacts]:
        """Return the facts with what the plans of the text's statements say, if there are any."""
        if not self._state.context.plan_seconds:
            return list(resolved)
        return [
            facts if own is None else self._witnessed(own, facts)
            for own, facts in zip(self._texts(text, resolved), resolved, strict=True)
        ]

    def _texts(self, text: bytes, resolved: Sequence[StatementFacts]) -> list[bytes | None]:
        """Return the text of each statement that may be planned; None for the others.

        Of several in one text none, if one of them changes what another one means.
        """
        if len(resolved) == 1:
            return [text]
        changes = any(one.changes_session or one.changes_catalog for one in resolved)
        if changes or self._state.encoding.upper() not in _UTF8:
            return [None] * len(resolved)
        worth = [one for one in resolved if _is_worth(one)][:_MOST_PLANNED]
        return [
            one.text.encode() if any(one is other for other in worth) else None for one in resolved
        ]

    def _ask(self, text: bytes, facts: StatementFacts, types: bytes) -> bool:
        """Ask for the plan of one statement, if nobody knows one."""
        state = self._state
        if not _is_worth(facts) or len(text) > MAX_PLANNED_BYTES:
            return False
        if facts.shape is None and facts.bounded_by_keys:
            return False  # EXECUTE of a look-up by key: each one would be asked for
        key = self._key(text, facts)
        if self._known(key) is not None:
            return False
        count = _parameters(text)
        if count and facts.kind is Kind.EXECUTE:
            return False  # its values are those of an EXECUTE that was itself prepared
        query = planned_query(text) if facts.kind is Kind.COPY_OUT else text
        if query is None:
            return False
        messages, syncs = _messages(query, types, count, within=state.status == _IN_TRANSACTION)
        state.own_query = True
        state.push(PlanPending(key, syncs, len(text)))
        state.to_backend(messages)
        return True

    def _witnessed(self, text: bytes, facts: StatementFacts) -> StatementFacts:
        if not _is_worth(facts):
            return facts
        known = self._known(self._key(text, facts))
        if known is None or known[0] is None:
            return facts
        return witnessed(facts, known[0], self._state.catalog, generic=bool(_parameters(text)))

    def take(self, shape: Frame | Run | Piece, pending: PlanPending) -> None:
        """Take one message of the answer; nothing of it goes to the frontend."""
        match shape:
            case Run(tag=Tag.DATA_ROW):
                for start, end in frames_in(shape.raw):
                    values = decode_data_row(shape.raw, start, end)
                    if len(values) != 1:
                        raise WireError(f"a plan has {len(values)} columns, expected 1")
                    (pending.answer,) = values
            case Frame(tag=Tag.ERROR_RESPONSE) | Piece():
                pending.answer, pending.failed = None, True
            case Frame(tag=Tag.READY_FOR_QUERY):
                pending.syncs -= 1
                if not pending.syncs:
                    self._finish(pending)
            case _:
                pass

    def _finish(self, pending: PlanPending) -> None:
        state = self._state
        state.pop()
        state.own_query = False
        plan: Plan | None = None
        if pending.answer is not None and not pending.failed:
            codec = _CODECS.get(state.encoding.upper(), "utf-8")
            try:
                plan = read_plan(pending.answer.decode(codec, "replace"))
            except ValueError:
                plan = None
        self._last = (pending.key, plan)
        size = _ENTRY_BYTES + pending.size_bytes
        state.context.plans.put(pending.key, (plan, state.now), size)

    def _can_ask(self) -> bool:
        state = self._state
        if (
            state.is_walsender
            or state.pending
            or state.skipping
            or state.adopting
            or state.doomed is not None
        ):
            return False
        within = state.status == _IN_TRANSACTION and state.context.enforces
        return state.conforming and (within or state.status == _IDLE)

    def _known(self, key: Hashable) -> tuple[Plan | None, float] | None:
        context = self._state.context
        found = context.plans.get(key)
        if found is not None and self._state.now - found[1] < context.plan_seconds:
            return found
        if self._last is not None and self._last[0] == key:
            return (self._last[1], self._state.now)  # the cache may be too small for it
        return None

    def _key(self, text: bytes, facts: StatementFacts) -> Hashable:
        """Return for what a plan holds: a template if keys bound it, else the very text.

        The constants decide how many rows a range or a LIKE gives.
        """
        state = self._state
        catalog = state.catalog
        version = None if catalog is None else (catalog.version, catalog.search_path)
        stands = facts.bounded_by_keys or not facts.reads_subjects
        what: object = facts.shape if stands and facts.shape is not None else text
        return (state.reader, version, what)


def _is_worth(facts: StatementFacts) -> bool:
    """Whether a plan could tell more: it reads some relation of the database, and may be asked."""
    if not may_be_planned(facts):
        return False
    if facts.subject_relations or facts.unknown_relations:
        return True
    if any(one is not ColumnClass.NONE for one in facts.classes):
        return True  # a function of the map gives subjects' data
    return any(not one.schema.startswith("pg_") for one in facts.relations)


def _parameters(text: bytes) -> int:
    """Return the highest ``$n`` in a text; one within a string only costs an attempt."""
    return max((int(found) for found in _PARAMETER.findall(text)), default=0)


def _messages(text: bytes, types: bytes, count: int, *, within: bool) -> tuple[bytes, int]:
    """Return what asks for the plan, and how many ReadyForQuery answer it.

    A plan for parameters of NULL would read nothing: it has to be the generic one.
    """
    asks = [_run(explain_text(text))]
    ends: list[bytes] = []
    if count:
        given = b", ".join([b"NULL"] * count)
        inner = explain_text(b"EXECUTE %s(%s)" % (_INNER, given))
        asks = [_run(_GENERIC), close(b"S", _INNER), parse(_INNER, text, types), _run(inner)]
        ends = [close(b"S", _INNER)]
    begins = [_run(_SAVE)] if within else [_run(b"BEGIN READ ONLY")] if count else []
    undoes = [_run(one) for one in _UNDO] if within else [_run(b"ROLLBACK")] if count else []
    groups = [[*begins, *asks], undoes, ends]
    last = close(b"P", _NAME) + close(b"S", _NAME)  # else it would show in pg_cursors
    sent = [b"".join([*group, last, SYNC]) for group in groups if group]
    return b"".join(sent), len(sent)


def _run(text: bytes) -> bytes:
    """Return what runs one statement; named, so that the frontend's unnamed one stays."""
    head = close(b"P", _NAME) + close(b"S", _NAME)
    return head + parse(_NAME, text) + bind(_NAME, _NAME) + execute(_NAME)
