"""Opening: the untagged messages, and what a start-up may not ask for."""

from __future__ import annotations

import pytest

from proxy.session import Session
from proxy.session import commands as c
from proxy.session import events as e
from proxy.session.opening import Encryption, _settings
from proxy.terms.finding import Mode
from proxy.terms.principal import Certificate
from tests.conversation import Conversation, context_of
from tests.messages import frontend_message, startup


def test_encryption_is_declined_and_the_start_up_goes_on() -> None:
    """SSLRequest and GSSENCRequest are answered N; the StartupMessage behind them passes."""
    Conversation().say(
        """
        > GSSENCRequest
        < Raw 4e
        > SSLRequest
        < Raw 4e
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        """
    )


def test_bytes_stuffed_behind_an_encryption_request_end_the_connection() -> None:
    """What came in the clear before the answer is never taken for what comes after it."""
    session = Session(context_of())

    told = session.handle(
        e.FrontendBytes(frontend_message("SSLRequest") + startup("user=app")), 0.0
    )

    assert not any(isinstance(one, c.OpenBackend | c.SendBackend) for one in told)
    assert isinstance(told[-1], c.CloseFrontend)


def test_a_cancel_is_passed_on_and_nothing_is_answered() -> None:
    """A CancelRequest carries a key that we gave out; its connection says nothing."""
    Conversation().say(
        """
        > CancelRequest 7 abcd
        ! ForwardCancel 7 abcd
        """
    )


def test_nothing_is_collected_behind_a_cancel() -> None:
    """Bytes that come while the connection of a cancel is open are dropped."""
    session = Session(context_of())
    session.handle(e.FrontendBytes(frontend_message("CancelRequest 7 abcd")), 0.0)

    told = session.handle(e.FrontendBytes(bytes(1000)), 0.0)

    assert told == []
    assert session._frontend.pending_bytes == 0


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ("replication=database", "EX125"),
        ("standard_conforming_strings=off", "EX129"),
        ("client_encoding=SJIS", "EX129"),
        ("'options=-c standard_conforming_strings=off'", "EX129"),
        ("'options=--client-encoding=SJIS'", "EX129"),
        ("'options=-c backslash_quote=on' backslash_quote=safe_encoding", "EX129"),
        ("'options=-c backslash_quote=safe_encoding' backslash_quote=on", "EX129"),
        ("role=postgres", "EX131"),
        ("search_path=lab", None),
        ("'options=-sc role=postgres'", "EX131"),
        (r"'options=-c ro\le=postgres \ '", "EX131"),
    ],
)
def test_a_start_up_is_judged_by_its_settings(asked: str, rule: str | None) -> None:
    """Replication, lexer settings and roles are refused, in every spelling the backend takes."""
    talk = Conversation()

    talk.send(e.FrontendBytes(frontend_message(f"Startup user=app database=lab {asked}")))

    emitted = [one.record.findings[0].rule for one in talk.commands if isinstance(one, c.Emit)]
    opened = any(isinstance(one, c.OpenBackend) for one in talk.commands)
    assert opened == (rule is None)
    assert len(emitted) == (0 if rule is None else 1)


def test_a_refused_start_up_says_why() -> None:
    """The frontend is told which rule, in an ErrorResponse that ends the connection."""
    Conversation().say(
        """
        > Startup user=app replication=true
        ! Emit block EX912
        ! Refused
        < ErrorResponse 42501 "connection refused: asks for a replication connection" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_observing_refuses_no_start_up() -> None:
    """In observe mode the finding is told, and the connection goes on."""
    Conversation(context_of(mode=Mode.OBSERVE)).say(
        """
        > Startup user=app role=postgres
        ! Emit block EX131
        ! OpenBackend
        >> Startup user=app role=postgres
        """
    )


@pytest.mark.parametrize(("major", "minor"), [(2, 0), (4, 0)])
def test_another_major_version_is_refused(major: int, minor: int) -> None:
    """Versions 2 and 4 have other layouts; nothing in them can be read."""
    session = Session(context_of())
    raw = startup("user=app", version=major << 16 | minor)

    told = session.handle(e.FrontendBytes(raw), 0.0)

    assert [type(one) for one in told] == [
        c.Refused,
        c.SendFrontend,
        c.CloseBackend,
        c.CloseFrontend,
    ]
    assert b"C0A000\0" in told[1].data  # type: ignore[union-attr]


def test_a_start_up_without_user_is_refused() -> None:
    """As PostgreSQL does: 28000."""
    Conversation().say(
        """
        > Startup database=lab
        ! Refused
        < ErrorResponse 28000 "no user name specified in StartupMessage" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_settings_are_in_the_order_of_the_backend() -> None:
    """A parameter of its own comes after ``options``, so it is the one that holds."""
    found = _settings({"search_path": "b", "options": "-c search_path=a -d 5 -ec Time-Zone=x"})

    assert found == [("search_path", "a"), ("time_zone", "x"), ("search_path", "b")]


def test_no_account_is_opened_for_whoever_names_a_role() -> None:
    """A start-up alone, not authenticated, leaves nothing in the ledger."""
    talk = Conversation()

    talk.say("> Startup user=nobody database=lab", loosely=True)

    assert talk.context.ledger.book.tallies == {}


def test_direct_tls_is_closed_without_an_answer() -> None:
    """A ClientHello is no StartupMessage; whoever sends it reads no ErrorResponse."""
    Conversation().say(
        """
        > Raw 16 03 01
        ! ProtocolFault frontend
        ! Refused
        ! CloseFrontend
        """
    )


def test_the_login_has_a_deadline() -> None:
    """Whoever does not finish the login in time is told so and closed."""
    Conversation().say(
        """
        * LoginTimeout
        ! Ended login_timeout
        < ErrorResponse 08006 "the login was not complete in time" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_a_backend_that_cannot_be_reached_is_told_of() -> None:
    """The frontend gets 08006 with the reason, and no address."""
    Conversation().say(
        """
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        * BackendUnreachable refused
        ! UpstreamFault refused
        < ErrorResponse 08006 "cannot connect to the database: refused" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


HELLO = "Raw 16 03 01"
REFUSED_PLAINTEXT = (
    'Vigie rejects connection for host "192.0.2.7", user "app", database "lab", no encryption'
)


@pytest.mark.parametrize("encryption", [Encryption.OFFERED, Encryption.REQUIRED])
def test_tls_is_begun_when_it_is_asked_for(encryption: Encryption) -> None:
    """S, then the handshake; what comes through it is an opening as any other."""
    Conversation(encryption=encryption).say(
        """
        > GSSENCRequest
        < Raw 4e
        > SSLRequest
        ! EncryptFrontend S
        * FrontendEncrypted
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        """
    )


def test_direct_tls_is_begun_with_what_has_come() -> None:
    """PostgreSQL 17: the first byte is that of a handshake, and ALPN says what it is for."""
    talk = Conversation(encryption=Encryption.REQUIRED)

    assert talk.send(e.FrontendBytes(b"\x16\3\1")) == [c.EncryptFrontend(b"", b"\x16\3\1")]
    assert talk.send(e.FrontendEncrypted("postgresql")) == []
    assert c.OpenBackend() in talk.send(e.FrontendBytes(startup("user=app")))


@pytest.mark.parametrize("protocol", ["", "http/1.1"])
def test_direct_tls_without_its_protocol_ends(protocol: str) -> None:
    """Somebody else's handshake that was led here is not taken for a PostgreSQL one."""
    talk = Conversation(encryption=Encryption.OFFERED)
    talk.say(f"> {HELLO}", loosely=True)

    told = talk.send(e.FrontendEncrypted(protocol or None))

    assert [type(one) for one in told] == [c.ProtocolFault, c.Refused, c.CloseFrontend]


def test_a_handshake_comes_first_or_after_s() -> None:
    """After an N, or behind anything else, it is no opening."""
    Conversation(encryption=Encryption.OFFERED).say(
        """
        > GSSENCRequest
        < Raw 4e
        > Raw 16 03 01
        ! ProtocolFault frontend
        ! Refused
        ! CloseFrontend
        """
    )


def test_bytes_in_the_clear_are_never_taken_for_what_comes_through_tls() -> None:
    """Once TLS was begun, a StartupMessage beside it ends the connection (CVE-2021-23222)."""
    Conversation(encryption=Encryption.OFFERED).say(
        """
        > SSLRequest
        ! EncryptFrontend S
        > Startup user=app database=lab
        ! ProtocolFault frontend
        ! Refused
        ! CloseFrontend
        """
    )


@pytest.mark.parametrize("behind", ["", "x"])
def test_stuffed_bytes_begin_no_tls(behind: str) -> None:
    """What came with the request was there before anybody could know the answer."""
    talk = Conversation(encryption=Encryption.REQUIRED)
    stuffed = startup("user=app") if not behind else behind.encode()

    told = talk.send(e.FrontendBytes(frontend_message("SSLRequest") + stuffed))

    assert not any(isinstance(one, c.EncryptFrontend | c.OpenBackend) for one in told)
    assert isinstance(told[-1], c.CloseFrontend)


@pytest.mark.parametrize(
    ("request_name", "version"), [("SSLRequest", "1234.5679"), ("GSSENCRequest", "1234.5680")]
)
def test_a_request_within_tls_is_a_wrong_version(request_name: str, version: str) -> None:
    """As PostgreSQL has it: there is no TLS within TLS."""
    Conversation(encryption=Encryption.REQUIRED).say(
        f"""
        > SSLRequest
        ! EncryptFrontend S
        * FrontendEncrypted
        > {request_name}
        ! Refused
        < ErrorResponse 0A000 "unsupported frontend protocol {version}" FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_plaintext_is_refused_where_tls_is_required() -> None:
    """In the words that PostgreSQL has for it, and nothing reaches the backend."""
    Conversation(encryption=Encryption.REQUIRED).say(
        f"""
        > Startup user=app database=lab
        ! Refused
        < ErrorResponse 28000 '{REFUSED_PLAINTEXT}' FATAL
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_plaintext_passes_where_tls_is_only_offered() -> None:
    """A listener of which the site says so."""
    Conversation(encryption=Encryption.OFFERED).say(
        """
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        """
    )


def test_a_cancel_passes_without_tls() -> None:
    """Older drivers send it so even where the session has TLS, and PostgreSQL takes it."""
    Conversation(encryption=Encryption.REQUIRED).say(
        """
        > CancelRequest 7 abcd
        ! ForwardCancel 7 abcd
        """
    )


def test_a_broken_handshake_ends_the_connection() -> None:
    """Nothing is answered: there is no way left in which to say it."""
    Conversation(encryption=Encryption.OFFERED).say(
        """
        > SSLRequest
        ! EncryptFrontend S
        * EncryptionBroken frontend
        ! ProtocolFault frontend
        ! Refused
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_broken_tls_of_the_backend_is_a_lost_backend() -> None:
    """The frontend is told as of any lost connection."""
    Conversation().say(
        """
        > Startup user=app database=lab
        ! OpenBackend
        >> Startup user=app database=lab
        * EncryptionBroken backend
        ! ProtocolFault backend
        ! UpstreamFault lost
        < ErrorResponse 08006 "the connection to the database was lost" FATAL
        >> Terminate
        ! CloseBackend
        ! CloseFrontend
        """
    )


def test_the_certificate_is_part_of_the_principal() -> None:
    """What the handshake has shown is what the audit record names."""
    talk = Conversation(encryption=Encryption.REQUIRED)
    certificate = Certificate("CN=lims,OU=Lab", "lims")
    talk.say("> SSLRequest", loosely=True)
    talk.send(e.FrontendEncrypted(None, certificate))

    talk.send(e.FrontendBytes(startup("user=app", "database=lab", "replication=true")))

    (record,) = (one.record for one in talk.commands if isinstance(one, c.Emit))
    assert record.principal.certificate == certificate
