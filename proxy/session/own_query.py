"""Vigie's own Query over the catalog, in the frontend's session and unseen by it (ADR 0006)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.policy.drift import count_by_kind, find_drift
from proxy.session.catalog_book import Need
from proxy.session.commands import CatalogRead, InternalFault
from proxy.session.pending import OwnQueryPending
from proxy.session.speaking import answered, question
from proxy.sql import CATALOG_QUERY, SESSION_QUERY, build_catalog
from proxy.sql.facts.triggers import copied_by_triggers
from proxy.terms.facts import Kind, StatementFacts
from proxy.wire.backend import Tag, decode_data_row, decode_fields
from proxy.wire.encode import SYNC, bind, close, describe_portal, execute, parse
from proxy.wire.frames import Frame, Piece, Run, frames_in
from proxy.wire.frontend import Tag as FrontendTag
from proxy.wire.frontend import decode_parse, decode_query

if TYPE_CHECKING:
    from proxy.session.state import State
    from proxy.sql import Catalog

_CODECS: Final = {"LATIN1": "latin-1", "LATIN9": "iso8859-15", "WIN1252": "cp1252"}
_NAME: Final = b"vigie_catalog"
_CHANGES: Final = frozenset({Kind.DDL, Kind.CREATE_CODE, Kind.GRANT, Kind.TRANSACTION})
# How a statement of these kinds begins; one behind a comment only costs a reading more.
_BEGINS: Final = re.compile(
    rb"\s*(?:create|alter|drop|comment|truncate|grant|revoke|reassign|security|import"
    rb"|begin|start|commit|end|rollback|abort|savepoint|release|prepare)\b",
    re.IGNORECASE,
)
_RENAMES: Final = re.compile(r"rename|schema", re.IGNORECASE)
_RETRY_SECONDS: Final = 5.0
_CANCELLED: Final = b"57014"
_MAX_CANCELS: Final = 3  # in a row; then it is a statement_timeout that is too short


class OwnQuery:
    """Asks when something has to be known, and takes the answer."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self) -> None:
        """Learn what the first statement of a session needs; nothing if others have just asked."""
        state = self._state
        if state.is_walsender:
            return
        book, seconds = state.context.catalogs, state.context.catalog_refresh_seconds
        need = book.need(state.reader, state.now, seconds)
        if need is Need.NOTHING:
            state.path = book.path(state.reader)
        else:
            self._ask(everything=need is Need.ALL)

    def is_needed(self, shape: Frame | Run | Piece) -> bool:
        """Ask if what is known is too old, now that the session is idle; whether it was.

        Not ahead of a change that is judged as well without: what makes a thousand tables would
        read all of them a thousand times.
        """
        state = self._state
        if not state.is_idle or state.own_query or state.is_walsender:
            return state.own_query
        book, seconds = state.context.catalogs, state.context.catalog_refresh_seconds
        failed_at = state.catalog_failed_at
        may_ask = failed_at is None or state.now >= failed_at + _RETRY_SECONDS
        if may_ask and not book.is_fresh(state.reader.database, state.now, seconds):
            is_recent = book.is_recent(state.reader.database, state.now, seconds)
            if is_recent and self._is_change(shape):
                return False
            self._ask(everything=True)
        elif (state.path is None or state.is_unsure) and not state.path_failed:
            self._ask(everything=False)
        return state.own_query

    def _is_change(self, shape: Frame | Run | Piece) -> bool:
        """Whether the facts of a text cannot depend on what has changed since."""
        state = self._state
        text = _text_of(shape)
        if text is None or state.catalog is None or _BEGINS.match(text) is None:
            return False
        if state.context.analyser.parse_task(text, state.encoding) is not None:
            return False
        # not told of: the text is read for its verdict in a moment, and found in the cache then
        found = state.decisions.facts_of(
            text, state.encoding, state.catalog, conforming=state.conforming, out=[]
        )
        return all(_is_change_alone(facts) for facts in found)

    def _ask(self, *, everything: bool) -> None:
        state = self._state
        book, database = state.context.catalogs, state.reader.database
        if everything:
            book.claim(database, state.now)
        state.own_query = True
        settings = () if state.followed is None else tuple(sorted(state.followed.names))
        state.push(OwnQueryPending(everything, book.changes(database), settings))
        asked = CATALOG_QUERY if everything else SESSION_QUERY
        state.to_backend(own_messages(asked + question(settings)))

    def take(self, shape: Frame | Run | Piece, pending: OwnQueryPending) -> None:
        """Take one message of the answer; nothing of it goes to the frontend."""
        match shape:
            case Run(tag=Tag.DATA_ROW) if pending.results:
                rows = pending.results[-1]
                for start, end in frames_in(shape.raw):
                    values = decode_data_row(shape.raw, start, end)
                    rows.append([None if one is None else self._text(one) for one in values])
            case Frame(tag=Tag.ROW_DESCRIPTION):
                pending.results.append([])
            case Frame(tag=Tag.ERROR_RESPONSE):
                pending.failed = True
                pending.cancelled = decode_fields(shape.body).get("C") == _CANCELLED
            case Piece():
                pending.failed = True
            case Frame(tag=Tag.READY_FOR_QUERY):
                self._finish(pending)
            case _:
                pass

    def _text(self, value: bytes) -> str:
        return value.decode(_CODECS.get(self._state.encoding.upper(), "utf-8"), "replace")

    def _finish(self, pending: OwnQueryPending) -> None:
        state = self._state
        state.pop()
        state.own_query = False
        if pending.failed:
            self._fail(pending)
            return
        try:
            self._keep(pending)
        except Exception as error:  # noqa: BLE001 - without a catalog everything is pessimistic
            state.out.append(InternalFault("catalog", type(error).__name__))
            self._fail(pending)

    def _keep(self, pending: OwnQueryPending) -> None:
        state = self._state
        book, reader = state.context.catalogs, state.reader
        if pending.settings:
            answered(state, pending.settings, pending.results.pop())
        (row,) = pending.results[0]
        path = tuple(part for part in (row[0] or "").split("\n") if part)
        if pending.everything:
            before = book.catalog(reader.database)
            catalog = build_catalog(
                pending.results,
                state.context.policy.schema_map,
                before,
                kept=book.kept(reader.database),
                tainted=book.tainted(reader.database),
            )
            catalog = self._with_logs(pending, catalog, before)
            book.put(reader.database, catalog, pending.change, state.now, pending.results)
            state.out.append(CatalogRead(loaded=True, drift=self._find_drift(catalog, before)))
            state.catalog_failed_at = None
        state.path, state.path_failed, state.catalog_cancels = path, False, 0
        if not state.changed_path:
            book.put_path(reader, path, state.now)

    def _find_drift(self, catalog: Catalog, before: Catalog | None) -> dict[str, int] | None:
        """Tell where the database does not fit the schema map; None: as before."""
        state = self._state
        book, schema_map = state.context.catalogs, state.context.policy.schema_map
        if catalog is before and book.knows_drift(state.reader.database):
            return None
        found = find_drift(schema_map, catalog, before)
        new = book.put_drift(state.reader.database, found)
        if new:
            state.decisions.drifted(new, state.out)
        return count_by_kind(book.drift())

    def _with_logs(
        self, pending: OwnQueryPending, catalog: Catalog, before: Catalog | None
    ) -> Catalog:
        """Return the catalog with what triggers copy subjects' data into."""
        schema_map = self._state.context.policy.schema_map
        if before is not None and catalog.version == before.version:
            return catalog
        copies = copied_by_triggers(catalog, schema_map)
        if not copies:
            return catalog
        return build_catalog(pending.results, schema_map, catalog, tainted=copies)

    def _fail(self, pending: OwnQueryPending) -> None:
        state = self._state
        if pending.cancelled and state.catalog_cancels < _MAX_CANCELS:
            # the frontend's cancel came too late for its own statement: asked again at the next
            state.catalog_cancels += 1
            if pending.everything:
                state.context.catalogs.release(state.reader.database)
            return
        state.path_failed = True
        if pending.everything:
            # of this session only: another one may read what this one cannot
            state.context.catalogs.release(state.reader.database)
            state.catalog_failed_at = state.now
            state.out.append(CatalogRead(loaded=False))


def _text_of(shape: Frame | Run | Piece) -> bytes | None:
    match shape:
        case Frame(tag=FrontendTag.QUERY):
            return decode_query(shape.body)
        case Frame(tag=FrontendTag.PARSE):
            parse_message = decode_parse(shape.body)
            return None if parse_message is None else parse_message.text
        case _:
            return None


def _is_change_alone(facts: StatementFacts) -> bool:
    """Whether a statement makes or alters something and names no relation that it would read.

    Not one that renames: what is renamed has to be known.
    """
    named = facts.relations | facts.unknown_relations | facts.writes
    calls = facts.functions | facts.unknown_functions
    return (
        facts.kind in _CHANGES
        and facts.opaque is None
        and _RENAMES.search(facts.text) is None
        and not (named or calls or facts.side_doors)
        and not (facts.stages or facts.returns_rows or facts.changes_session)
    )


def own_messages(text: str) -> bytes:
    """Return what asks for the results of these statements.

    A Query would drop the unnamed statement of the frontend, so they are named, and closed first:
    an error may have left one.
    """
    parts = []
    for one in text.split(";\n"):
        parts += [close(b"P", _NAME), close(b"S", _NAME), parse(_NAME, one.encode())]
        parts += [bind(_NAME, _NAME), describe_portal(_NAME), execute(_NAME)]
    return b"".join([*parts, close(b"S", _NAME), SYNC])
