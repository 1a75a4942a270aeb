"""The untagged messages that open a connection, and what a StartupMessage may not ask for.

Source: PostgreSQL documentation, "Start-up", "SSL Session Encryption", "Canceling Requests".
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.catalog_book import Reader
from proxy.session.commands import (
    CloseFrontend,
    ForwardCancel,
    OpenBackend,
    ProtocolFault,
    Refused,
)
from proxy.session.refusal import refused_start
from proxy.session.state import Phase, State
from proxy.sql.text import is_safe_encoding
from proxy.terms.facts import Kind, SideDoor, StatementFacts
from proxy.terms.principal import Principal
from proxy.wire.startup import (
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    take_opening,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO: Final = b"N"
_MAJOR: Final = 3
_MAX_ASKED: Final = 8  # SSLRequest and GSSENCRequest, each once, in reason
_ON: Final = frozenset({"on", "true", "yes", "1", "t", "y"})
# What makes no difference to the search_path that a session begins with.
_NEUTRAL: Final = frozenset({"user", "database", "application_name", "client_encoding"})


class Opening:
    """Takes the first bytes of a frontend, up to and including its StartupMessage."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = bytearray()
        self._asked = 0

    def take(self, chunk: bytes) -> bytes:
        """Take a chunk; return what follows the StartupMessage, if it was in it."""
        self.buffer += chunk
        self._take_openings()
        return bytes(self.buffer) if self.state.phase is Phase.AUTHENTICATION else b""

    def _take_openings(self) -> None:
        state = self.state
        while state.phase is Phase.OPENING:
            try:
                opening = take_opening(self.buffer)
            except WireError as error:
                self._refuse_bytes(error)
                return
            match opening:
                case None:
                    return
                case SSLRequest() | GSSENCRequest():
                    self._decline()
                case CancelRequest(process_id, secret):
                    state.out.append(ForwardCancel(process_id, secret))
                    state.phase = Phase.CLOSED
                case StartupMessage():
                    self._start(opening)

    def _decline(self) -> None:
        self._asked += 1
        if self.buffer or self._asked > _MAX_ASKED:
            # bytes stuffed behind the request, before its answer (CVE-2021-23222)
            self._refuse_bytes(WireError("unexpected bytes behind an encryption request"))
            return
        self.state.to_frontend(_NO)

    def _refuse_bytes(self, error: WireError) -> None:
        state = self.state
        state.out += [ProtocolFault("frontend", str(error)), Refused()]
        if self.buffer[:1] == b"\0":  # it may be a frontend that reads ErrorResponses
            state.fail(error.sqlstate, str(error))
            return
        state.out.append(CloseFrontend())
        state.phase = Phase.CLOSED

    def _start(self, startup: StartupMessage) -> None:
        state = self.state
        if startup.major != _MAJOR:
            state.out.append(Refused())
            state.fail(
                "0A000",
                f"unsupported frontend protocol {startup.major}.{startup.minor}:"
                " Vigie supports 3.0 to 3.2",
            )
            return
        parameters = startup.parameters
        role = parameters.get("user", "")
        if not role:
            state.out.append(Refused())
            state.fail("28000", "no user name specified in StartupMessage")
            return
        database = parameters.get("database") or role
        name = parameters.get("application_name", "")
        principal = Principal(role, database, state.address, name)
        settings = _settings(parameters)
        options = sorted((key, value) for key, value in settings.items() if key not in _NEUTRAL)
        state.login(principal, Reader(role, database, tuple(options)))
        facts = _asks_for(startup, settings)
        if facts is not None and self._is_refused(facts):
            return
        state.encoding = settings.get("client_encoding", state.encoding)
        state.phase = Phase.AUTHENTICATION
        state.out.append(OpenBackend())
        state.to_backend(startup.raw)

    def _is_refused(self, facts: StatementFacts) -> bool:
        state = self.state
        decision = state.decisions.decide([facts], state.out)
        if decision.refusal is None:
            return False
        refusal = decision.refusal
        state.out.append(Refused())
        message = refused_start(refusal)
        state.fail(refusal.sqlstate, message, detail=refusal.detail, hint=refusal.hint)
        return True


def _asks_for(startup: StartupMessage, settings: Mapping[str, str]) -> StatementFacts | None:
    """Return what there is to judge about a start-up; None: nothing."""
    if startup.is_replication:
        return StatementFacts(Kind.REPLICATION, side_doors=frozenset({SideDoor.REPLICATION}))
    doors: set[SideDoor] = set()
    if settings.get("standard_conforming_strings", "on").lower() not in _ON:
        doors.add(SideDoor.LEXER_SETTING)
    if settings.get("backslash_quote", "safe_encoding").lower() != "safe_encoding":
        doors.add(SideDoor.LEXER_SETTING)
    if not is_safe_encoding(settings.get("client_encoding", "UTF8")):
        doors.add(SideDoor.LEXER_SETTING)
    if {"role", "session_authorization"} & settings.keys():
        doors.add(SideDoor.SESSION_IDENTITY)
    return StatementFacts(Kind.SET, side_doors=frozenset(doors)) if doors else None


def _settings(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a StartupMessage, those in ``options`` included.

    Source: PostgreSQL's ``process_postgres_switches``: ``-c name=value`` and ``--name=value``;
    names are folded, a dash in them is an underscore.
    """
    found = {_fold(name): value for name, value in parameters.items() if name != "options"}
    words = _words(parameters.get("options", ""))
    for position, word in enumerate(words):
        if word.startswith("--"):
            assignment = word[2:]
        elif word == "-c":
            assignment = words[position + 1] if position + 1 < len(words) else ""
        elif word.startswith("-c"):
            assignment = word[2:]
        else:
            continue
        name, _, value = assignment.partition("=")
        found[_fold(name)] = value
    return found


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")


def _words(options: str) -> list[str]:
    """Split as the server does: at spaces, a backslash takes the next character along."""
    lexer = shlex.shlex(options, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.quotes, lexer.commenters = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        return options.split()
