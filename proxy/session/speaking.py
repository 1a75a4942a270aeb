"""For whom the session acts: what it says, where the policy believes it.

A name that is said by a setting holds from the backend's answer on, one that is said in a comment
for the text that it ends. Principals that the policy does not believe cost nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import accel
from proxy.errors import WireError
from proxy.meter.known_names import KnownNames
from proxy.session.bound_keys import bound_octets
from proxy.session.noticing import note_new_name
from proxy.session.pending import (
    BindPending,
    DescribePending,
    ExecutePending,
    FunctionPending,
    ParsePending,
    QueryPending,
)
from proxy.session.statements import Portal, Prepared
from proxy.sql.comments import NOTHING_SAID, said_in_comment
from proxy.sql.text import TextError, decode_text
from proxy.terms.behalf import Behalf, Source, SourceKind, usable_name
from proxy.terms.facts import Kind, Parameter
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.session.followed_settings import FollowedSettings
    from proxy.session.names import Names
    from proxy.session.pending import Pending
    from proxy.session.state import State
    from proxy.terms.facts import StatementFacts

NAMED = "named"
UNNAMED = "unnamed"
TOO_MANY = "too_many"


class Speaking:
    """Keeps ``state.behalf`` in step with what is judged, and with what is answered."""

    def __init__(self, state: State, names: Names) -> None:
        self._state = state
        self._names = names
        self._last: tuple[bytes, Mapping[str, str]] = (b"", NOTHING_SAID)

    def ahead(self, text: bytes, statements: Sequence[StatementFacts] = ()) -> None:
        """Find out for whom the statements of a text are that is about to be sent."""
        followed = self._state.followed
        if self._state.trust is None:
            return
        if followed is not None and len(statements) > 1:  # what the first sets, the next is for
            followed = followed.after(statements[: _last_about_subjects(statements)])
        self._speak(text, self._cursors(statements, ahead=True), followed)

    def now(self, head: Pending | None) -> None:
        """Find out for whom the statement is that the backend carries out now; None: it does none.

        What has no text of its own is for whom a setting says.
        """
        if self._state.trust is None:
            return
        match head:
            case QueryPending(text=text, statements=statements, index=index):
                running = statements[index : index + 1]
                self._speak(text, self._cursors(running, ahead=False), self._state.followed)
            case ExecutePending(name=name) | DescribePending(kind="P", name=name):
                portal = self._state.registry.portals.get(name)
                if portal is not None:
                    cursors = self._cursors([portal.facts], ahead=False)
                    self._speak(portal.text, cursors, self._state.followed)
            case ParsePending(prepared=Prepared(text=text)) | BindPending(portal=Portal(text=text)):
                self._speak(text, (), self._state.followed)
            case None | FunctionPending():
                self._speak(b"", (), self._state.followed)
            case _:
                pass

    def _cursors(self, statements: Sequence[StatementFacts], *, ahead: bool) -> list[bytes]:
        """Return the texts of the cursors that are fetched from: their word holds for all rows."""
        found: list[bytes] = []
        for facts in statements:
            if facts.kind is Kind.FETCH and facts.cursor is not None:
                known = self._state.registry.portals
                portal = self._names.portal(facts.cursor) if ahead else known.get(facts.cursor)
                if portal is not None:
                    found.append(portal.text or portal.facts.text.encode())
        return found

    def _speak(
        self, text: bytes, cursors: Sequence[bytes], followed: FollowedSettings | None
    ) -> None:
        state = self._state
        trust = state.trust
        assert trust is not None
        said = self._said(text) if trust.reads_comments else NOTHING_SAID
        if trust.reads_comments and not said and len(cursors) == 1:
            said = self._said(cursors[0])
        user = _name(trust.end_user, said, followed)
        application = _name(trust.application, said, followed)
        state.naming = NAMED if user else UNNAMED
        known = self._known()
        if user and not known.knows(user):
            note_new_name(state)
        if (user and not known.admits(user, state.now)) or (
            application and not known.admits(f"\0{application}", state.now)
        ):
            user, application, state.naming = "", "", TOO_MANY
        if (user, application) != (state.behalf.end_user, state.behalf.application):
            state.act_for(Behalf(user, application))

    def _said(self, text: bytes) -> Mapping[str, str]:
        if self._last[0] != text:
            state = self._state
            found = NOTHING_SAID
            if state.conforming:
                found = said_in_comment(text, state.encoding, accel.cut_literals)
            self._last = (text, found)
        return self._last[1]

    def _known(self) -> KnownNames:
        state = self._state
        key = state.decisions.principal.key
        book = state.context.known_names
        known = book.get(key)
        if known is None:
            known = book[key] = KnownNames()
        return known


def _name(source: Source | None, said: Mapping[str, str], followed: FollowedSettings | None) -> str:
    if source is None:
        return ""
    if source.kind is SourceKind.COMMENT:
        return usable_name(said.get(source.name, ""))
    return "" if followed is None else followed.value(source.name)


def _last_about_subjects(statements: Sequence[StatementFacts]) -> int:
    """Return which of these statements is the last about subjects; all others follow none."""
    about = (index for index, facts in enumerate(statements) if facts.reads_subjects)
    return max(about, default=len(statements))


def follow(state: State, ran: StatementFacts, portal: Portal | None) -> None:
    """Take what a statement did to the settings that say for whom it acts."""

    def bound(parameter: Parameter) -> str | Unknown | None:
        parameters = () if portal is None else portal.parameters
        formats = () if portal is None else portal.parameter_formats
        try:
            octets = bound_octets(parameter, parameters, formats)
            return None if octets is None else decode_text(octets, state.encoding)
        except (ValueError, IndexError, TextError):
            return UNKNOWN

    if state.followed is not None:
        state.followed.take(ran, bound)


def report(state: State, name: str, value: str, *, is_default: bool) -> None:
    """Take what the backend reports of a setting."""
    if state.followed is not None:
        state.followed.told(name.lower(), value, is_default=is_default)


def question(settings: Sequence[str]) -> str:
    """Return what asks for these settings, behind another question; '' if there are none."""
    if not settings:
        return ""
    calls = (f"pg_catalog.current_setting('{name}', true)" for name in settings)
    return ";\nSELECT " + ", ".join(calls)


def answered(state: State, settings: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """Take the answer to ``question``. Errors: WireError if it is none."""
    if len(rows) != 1 or len(rows[0]) != len(settings):
        raise WireError("the settings of the session have another form than asked for")
    for name, value in zip(settings, rows[0], strict=True):
        report(state, name, value or "", is_default=False)
    if state.followed is not None:  # it was asked outside of any transaction
        state.followed.ready(idle=True, aborted=False)
