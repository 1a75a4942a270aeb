"""The untagged messages that open a connection, and what a StartupMessage may not ask for.

Source: PostgreSQL documentation, "Start-up", "SSL Session Encryption", "Canceling Requests".
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.admission import TOO_MANY
from proxy.session.catalog_book import Reader
from proxy.session.commands import (
    CloseFrontend,
    EncryptFrontend,
    ForwardCancel,
    OpenBackend,
    ProtocolFault,
    Refused,
)
from proxy.session.negotiation import known_part
from proxy.session.phases import Phase
from proxy.session.refusal import refused_start
from proxy.session.routes import choose
from proxy.sql.text import is_safe_encoding
from proxy.terms.facts import Kind, SideDoor, StatementFacts
from proxy.terms.principal import Principal
from proxy.wire.startup import (
    GSSENC_CODE,
    SSL_CODE,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    begins_tls,
    take_opening,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.session.events import FrontendEncrypted
    from proxy.session.state import State

    Settings = Sequence[tuple[str, str]]

_NO: Final = b"N"
_YES: Final = b"S"
_ALPN: Final = "postgresql"
_MAJOR: Final = 3
_MAX_ASKED: Final = 8  # SSLRequest and GSSENCRequest, each once, in reason
_ON: Final = frozenset({"on", "true", "yes", "1", "t", "y"})
# What makes no difference to the search_path that a session begins with.
_WITH_VALUE: Final = "BCDWcdfhkNprStvx-"  # letters of postgres that take a value
_SPACES: Final = " \t\n\r\v\f"
_NEUTRAL: Final = frozenset({"user", "database", "application_name", "client_encoding"})


class Encryption(Enum):
    """What a listener asks of its frontends."""

    NOT_OFFERED = "not offered"
    OFFERED = "offered"
    REQUIRED = "required"


class Opening:
    """Takes the first bytes of a frontend, up to and including its StartupMessage."""

    def __init__(self, state: State, encryption: Encryption) -> None:
        self.state = state
        self.buffer = bytearray()
        self._asked = 0
        self._encryption = encryption
        self._is_shaking_hands = False
        self._is_direct = False

    def take(self, chunk: bytes) -> bytes:
        """Take a chunk; return what follows the StartupMessage, if it was in it."""
        if self._is_shaking_hands:  # in the clear: never taken for what comes through TLS
            self.buffer.clear()
            self._refuse_bytes(WireError("bytes outside of the TLS that was begun"))
            return b""
        self.buffer += chunk
        self._take_openings()
        return bytes(self.buffer) if self.state.phase is Phase.AUTHENTICATION else b""

    def encrypted(self, event: FrontendEncrypted) -> None:
        """Go on within TLS."""
        self._is_shaking_hands = False
        if self._is_direct and event.protocol != _ALPN:
            # another protocol's client may have been led here (ALPACA)
            self._refuse_bytes(WireError(f"direct TLS without ALPN, expected '{_ALPN}'"))
            return
        self.state.is_encrypted = True
        self.state.certificate = event.certificate

    def _take_openings(self) -> None:
        state = self.state
        may_begin = not self._asked and not state.is_encrypted
        if may_begin and begins_tls(self.buffer) and self._offers_tls:
            self._is_direct = True
            self._encrypt(b"", bytes(self.buffer))
            return
        while state.phase is Phase.OPENING and not self._is_shaking_hands:
            try:
                opening = take_opening(self.buffer)
            except WireError as error:
                self._refuse_bytes(error)
                return
            match opening:
                case None:
                    return
                case SSLRequest() | GSSENCRequest():
                    self._answer(opening)
                case CancelRequest(process_id, secret):
                    state.out.append(ForwardCancel(process_id, secret))
                    state.phase = Phase.CLOSED
                case StartupMessage():
                    self._start(opening)

    @property
    def _offers_tls(self) -> bool:
        return self._encryption is not Encryption.NOT_OFFERED

    def _answer(self, asked: SSLRequest | GSSENCRequest) -> None:
        self._asked += 1
        if self.state.is_encrypted:  # within TLS it is no request any more, but a wrong version
            minor = SSL_CODE & 0xFFFF if isinstance(asked, SSLRequest) else GSSENC_CODE & 0xFFFF
            self.state.out.append(Refused())
            self.state.fail("0A000", f"unsupported frontend protocol {SSL_CODE >> 16}.{minor}")
            return
        if self.buffer or self._asked > _MAX_ASKED:
            # bytes stuffed behind the request, before its answer (CVE-2021-23222)
            self._refuse_bytes(WireError("unexpected bytes behind an encryption request"))
            return
        if isinstance(asked, SSLRequest) and self._offers_tls:
            self._encrypt(_YES)
            return
        self.state.to_frontend(_NO)

    def _encrypt(self, answer: bytes, received: bytes = b"") -> None:
        self._is_shaking_hands = True
        self.buffer.clear()
        self.state.out.append(EncryptFrontend(answer, received))

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
        if self._is_turned_away():
            return
        database = parameters.get("database") or role
        state.upstream = choose(state.context.routes, database, state.listener)
        name = parameters.get("application_name", "")
        if self._encryption is Encryption.REQUIRED and not state.is_encrypted:
            self._refuse_plaintext(role, database)
            return
        principal = Principal(
            role, database, state.address, name, state.certificate, state.upstream
        )
        # as they came: how the backend reads them decides with which search_path it begins
        asked = sorted((key, value) for key, value in parameters.items() if key not in _NEUTRAL)
        settings = _settings(parameters)
        state.login(principal, Reader(role, principal.place, tuple(asked)), dict(settings))
        facts = _asks_for(startup, settings)
        if facts is not None and self._is_refused(facts):
            return
        state.encoding = dict(settings).get("client_encoding", state.encoding)
        state.phase = Phase.AUTHENTICATION
        state.out.append(OpenBackend(state.upstream))
        state.is_walsender = startup.is_replication
        known, state.unasked = known_part(startup)
        state.to_backend(known)

    def _refuse_plaintext(self, role: str, database: str) -> None:
        """Say it as PostgreSQL does of a host that pg_hba.conf admits by TLS only."""
        state = self.state
        state.out.append(Refused())
        state.fail(
            "28000",
            f'Vigie rejects connection for host "{state.address}", user "{role}",'
            f' database "{database}", no encryption',
            hint="Connect with sslmode=require, or better verify-full.",
        )

    def _is_turned_away(self) -> bool:
        """Whether there is no place for one more session, or Vigie is about to end."""
        state = self.state
        admission = state.context.admission
        if admission.is_draining:
            state.out.append(Refused("stopping"))
            state.fail("57P03", "the database system is shutting down")
            return True
        reason = admission.enter(state.address)
        state.has_entered = reason is None
        if reason is not None:
            state.out.append(Refused("too_many"))
            state.fail(TOO_MANY, reason)
        return reason is not None

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


def _asks_for(startup: StartupMessage, settings: Settings) -> StatementFacts | None:
    """Return what there is to judge about a start-up; None: nothing."""
    if startup.is_replication:
        return StatementFacts(Kind.REPLICATION)
    doors = {door for name, value in settings if (door := _door(name, value)) is not None}
    return StatementFacts(Kind.SET, side_doors=frozenset(doors)) if doors else None


def _door(name: str, value: str) -> SideDoor | None:
    match name:
        case "standard_conforming_strings" if value.lower() not in _ON:
            return SideDoor.LEXER_SETTING
        case "backslash_quote" if value.lower() != "safe_encoding":
            return SideDoor.LEXER_SETTING
        case "client_encoding" if not is_safe_encoding(value):
            return SideDoor.LEXER_SETTING
        case "role" | "session_authorization":
            return SideDoor.SESSION_IDENTITY
        case _:
            return None


def _settings(parameters: Mapping[str, str]) -> Settings:
    """Return the settings of a StartupMessage in the order in which the backend applies them.

    Those in ``options`` come first.
    """
    found = [
        (_fold(name), value)
        for name, _, value in (one.partition("=") for one in _switches(parameters))
    ]
    found += [(_fold(name), value) for name, value in parameters.items() if name != "options"]
    return found


def _switches(parameters: Mapping[str, str]) -> Iterator[str]:
    """Yield each ``name=value`` in ``options``.

    Source: PostgreSQL's ``process_postgres_switches`` and getopt: ``-c name=value``,
    ``--name=value``, and letters run together: ``-sc name=value``.
    """
    words = iter(_words(parameters.get("options", "")))
    for word in words:
        if not word.startswith("-"):
            continue
        for position, letter in enumerate(word[1:], 2):
            if letter in _WITH_VALUE:
                value = word[position:] or next(words, "")
                if letter in "c-":
                    yield value
                break


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")


def _words(options: str) -> list[str]:
    """Split as PostgreSQL's ``pg_split_opts``: a backslash takes the next character along."""
    words: list[str] = []
    word: str | None = None
    characters = iter(options)
    for character in characters:
        if character in _SPACES:
            if word is not None:
                words.append(word)
            word = None
        else:
            taken = next(characters, "") if character == "\\" else character
            word = (word or "") + taken
    return words if word is None else [*words, word]
